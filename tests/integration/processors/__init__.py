"""Tests of the processors with real processes."""
