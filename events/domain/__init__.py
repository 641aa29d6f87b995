"""The rules: aggregates that decide and evolve, without any input or output."""
