"""The relay against real servers that are killed, frozen and wiped."""
