"""The command API on real servers."""
