"""Tests, on real servers."""
