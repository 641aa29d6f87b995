"""Bulk operations: which jobs may be meant, and the service that deals with them."""
