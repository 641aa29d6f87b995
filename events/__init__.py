"""What happened, what may happen, and where it is written."""
