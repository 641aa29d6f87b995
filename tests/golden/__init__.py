"""Stored bytes that must load for ever."""
