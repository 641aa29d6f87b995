"""Fixtures of the projectors' tests."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from events.store.append import PostgresAppender
from infrastructure.postgres import Role
from tests.integration.projectors.stage import Stage


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    """A fresh database with an empty log and empty read models."""
    appender = PostgresAppender(database_url, Role.COMMAND_API)
    role = {"role": Role.PROJECTORS.value}
    async with asyncpg.create_pool(
        database_url, min_size=1, max_size=4, server_settings=role
    ) as pool:
        made = Stage(database_url, pool, appender)
        yield made
        await made.close()
        await appender.close()
