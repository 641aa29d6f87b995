"""Makes the command API's fixtures known to these tests, whose names the query API's share."""

from tests.fixtures.command_api import api, auth_headers, client

__all__ = ["api", "auth_headers", "client"]
