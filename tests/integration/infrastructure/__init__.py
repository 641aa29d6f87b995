"""Adapters against the real servers."""
