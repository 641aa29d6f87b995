"""What the embedded servers stand on: folder, secrets, ports, processes."""
