"""Folds the log into read models: rows that answer questions, and that anyone may delete."""
