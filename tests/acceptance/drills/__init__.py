"""Drills: what is promised, tried by killing and freezing real processes."""
