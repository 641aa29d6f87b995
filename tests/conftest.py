"""Loads the shared fixtures; what each gives stands in its own module."""

pytest_plugins = [
    "tests.fixtures.traced",
    "tests.fixtures.routes",
    "tests.fixtures.logs",
    "tests.fixtures.properties",
    "tests.fixtures.distribution",
    "tests.fixtures.platform",
    "tests.fixtures.servers",
    "tests.fixtures.databases",
    "tests.fixtures.events",
    "tests.fixtures.query_api",
]
