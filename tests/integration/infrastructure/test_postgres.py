"""One connection to a real PostgreSQL, and what stays of it when nobody wants it any more."""

import asyncio

import asyncpg
import pytest

from infrastructure.postgres import connect

SECONDS_MAX = 60.0
SLEEP = "SELECT pg_sleep(600)"
SLEEPERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active'"
    " AND datname = current_database()"
)


async def until_asleep(admin: asyncpg.Connection) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            if await admin.fetchval(SLEEPERS, SLEEP):
                return
            await asyncio.sleep(0.01)


@pytest.mark.filterwarnings("error::ResourceWarning")
async def test_nothing_stays_open_when_whoever_asked_is_cancelled(empty_database_url: str) -> None:
    admin = await asyncpg.connect(empty_database_url)
    opening = asyncio.create_task(connect(empty_database_url, None, prepare=SLEEP))
    await until_asleep(admin)
    before = asyncio.all_tasks()

    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    assert asyncio.all_tasks() <= before
    await admin.close()


async def test_what_is_asked_for_is_run_before_anybody_has_the_connection(
    empty_database_url: str,
) -> None:
    connection = await connect(empty_database_url, None, prepare="SET work_mem = '5MB'")

    assert await connection.fetchval("SHOW work_mem") == "5MB"
    await connection.close()
