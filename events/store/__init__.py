"""The log: appending to it, reading from it, and the keys that seal parts of it."""
