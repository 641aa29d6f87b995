"""Commands that need servers."""
