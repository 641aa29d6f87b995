"""Fixtures of the relay's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.servers import Server, ServerFactory
from tests.integration.events.relay.stage import Stage, staged


@pytest.fixture
def server(server_factory: ServerFactory) -> Server:
    """A private NATS, not started."""
    return server_factory.nats()


@pytest.fixture
async def stage(database_url: str, server: Server) -> AsyncIterator[Stage]:
    """An empty log and a private NATS, started."""
    server.start()
    async with staged(database_url, server.url) as made:
        await made.connected()
        yield made
