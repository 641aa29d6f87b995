"""Fixtures of the processors' tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.factories.tools import Gate
from tests.integration.processors.floor import Floor, opened


@pytest.fixture
def gate() -> type[Gate]:
    """The gate of all workers of this process, closed."""
    Gate.close()
    return Gate


@pytest.fixture
async def floor(
    database_url: str, nats_url: str, tmp_path: Path, gate: type[Gate]
) -> AsyncIterator[Floor]:
    """An empty log, the NATS of this module, and no service yet."""
    async with opened(database_url, nats_url, tmp_path) as made:
        yield made
