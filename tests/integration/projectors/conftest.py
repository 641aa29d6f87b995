"""Fixtures of the projectors' tests."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.projectors.stage import Stage, staged


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    """A fresh database with an empty log and empty read models."""
    async with staged(database_url) as made:
        yield made
