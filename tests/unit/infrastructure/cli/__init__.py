"""The command line, as far as it can be tried without servers."""
