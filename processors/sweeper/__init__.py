"""Deletes blobs that nobody needs any more."""
