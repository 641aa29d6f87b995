"""The parts of the relay that need no server."""
