"""One handler per command: load what it decides from, decide, save."""
