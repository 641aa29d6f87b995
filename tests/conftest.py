"""Loads the shared fixtures; what each gives stands in its own module."""

pytest_plugins = [
    "tests.fixtures.servers",
    "tests.fixtures.databases",
    "tests.fixtures.events",
]
