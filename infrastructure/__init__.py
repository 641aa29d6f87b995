"""Adapters that all services share; knows nothing of jobs."""
