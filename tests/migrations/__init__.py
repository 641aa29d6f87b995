"""Tests of the migrations: what they build is what the code expects."""
