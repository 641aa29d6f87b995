"""Gives the tests of the query API its own headers under the name that all tests use."""

import pytest

from query_api import lifespan, live_status
from tests.fixtures.query_api import AuthHeaders

REDIS_PATIENCE_SECONDS = 30.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that a busy machine holds up is not taken for one that is away."""
    monkeypatch.setattr(live_status, "READ_SECONDS_MAX", REDIS_PATIENCE_SECONDS)
    monkeypatch.setattr(lifespan, "REDIS_SECONDS_MAX", REDIS_PATIENCE_SECONDS)


@pytest.fixture
def auth_headers(query_auth_headers: AuthHeaders) -> AuthHeaders:
    """`await auth_headers(role, tenant=…, name=…)`: the headers of such a user."""
    return query_auth_headers
