"""Gives the tests of the query API its own headers under the name that all tests use."""

import pytest

from tests.fixtures.query_api import AuthHeaders


@pytest.fixture
def auth_headers(query_auth_headers: AuthHeaders) -> AuthHeaders:
    """`await auth_headers(role, tenant=…, name=…)`: the headers of such a user."""
    return query_auth_headers
