"""The questions side: read models and history over HTTP."""
