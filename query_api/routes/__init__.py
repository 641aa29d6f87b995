"""The HTTP surface, one router for each resource."""
