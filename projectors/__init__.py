"""Fold the log into read models."""
