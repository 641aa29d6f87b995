"""Logs of attempts in PostgreSQL: kept once, readable with the job's key, gone when they expire."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from events.contracts.values import SealedText
from infrastructure.ids import uuid7
from infrastructure.postgres import Pool, Role, create_pool
from infrastructure.settings import PostgresSettings
from processors.attempt_logs import AttemptLog, PostgresLogStore
from processors.sweeps import PostgresSweeps


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await create_pool(PostgresSettings(database_url=database_url), Role.PROCESSORS)
    yield opened
    opened.terminate()


async def kept(pool: Pool, job_id: UUID) -> list[tuple[int, str]]:
    rows = await pool.fetch(
        "SELECT lease, text FROM work.attempt_logs WHERE job_id = $1 ORDER BY lease", job_id
    )
    return [tuple(row) for row in rows]


async def test_a_log_is_kept_once_for_each_attempt(pool: Pool) -> None:
    store, job_id = PostgresLogStore(pool, days=1), uuid7()

    for lease, text in ((1, "first"), (2, "second"), (2, "again")):
        await store.keep(AttemptLog(job_id, lease, SealedText(text), is_cut=False))

    assert await kept(pool, job_id) == [(1, "first"), (2, "second")]


async def test_a_log_that_has_expired_is_swept(pool: Pool, database_url: str) -> None:
    expired, fresh = uuid7(), uuid7()
    for job_id, days in ((expired, 0), (fresh, 1)):
        store = PostgresLogStore(pool, days)
        await store.keep(AttemptLog(job_id, 1, SealedText("text"), is_cut=False))
    sweeps = PostgresSweeps(database_url)

    await sweeps.tidy(timedelta(minutes=5))
    await sweeps.close()

    assert (await kept(pool, expired), await kept(pool, fresh)) == ([], [(1, "text")])
