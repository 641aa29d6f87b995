"""Tests of the projectors on real servers."""
