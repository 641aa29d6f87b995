"""The tools on files that nobody here wrote, and on files that nobody wrote at all."""
