"""Tests of the projectors that need no server."""
