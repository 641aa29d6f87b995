"""Real servers from wheels, run as children of the process that needs them."""
