"""Runs a tool where it can be watched, limited and killed."""
