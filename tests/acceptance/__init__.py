"""The whole platform, used as its clients and operators use it."""
