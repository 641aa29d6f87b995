"""What the command API decides without a server."""
