"""Decide what runs, run it in a sandbox, and report the outcome."""
