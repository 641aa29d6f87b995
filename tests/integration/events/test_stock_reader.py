"""The stock eventsourcing library opens our store read-only, with nothing of ours but the facts."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from eventsourcing.persistence import PersistenceError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder

from events.contracts.values import JobStatus
from events.domain.job import Job
from events.store.stock import open_read_only
from infrastructure.ids import uuid7
from tests.fixtures.events import Store, origin, submitted_job


@pytest.fixture
async def auditor_url(database_url: str) -> AsyncIterator[str]:
    """The database as a person sees it who has nothing but the auditor's role."""
    owner = await asyncpg.connect(database_url)
    await owner.execute("CREATE ROLE somebody LOGIN PASSWORD 'secret' IN ROLE mt_auditor")
    parts = urlsplit(database_url)
    yield urlunsplit(parts._replace(netloc=f"somebody:secret@{parts.hostname}:{parts.port}"))
    await owner.execute("DROP ROLE somebody")
    await owner.close()


async def test_the_stock_library_reads_aggregates_a_past_version_and_the_log(
    postgres_store: Store, auditor_url: str
) -> None:
    job = submitted_job()
    job.start_attempt("worker:1", "L1", origin())
    job.cancel(origin())
    await postgres_store.repository.save(job)

    def read() -> tuple[Job, Job, list[tuple[int, str]]]:
        with open_read_only(auditor_url) as store:
            now: Job = store.repository.get(job.id)
            before: Job = store.repository.get(job.id, version=2)
            page = store.notification_log.select(start=1, limit=10)
            return now, before, [(one.id, one.topic) for one in page]

    now, before, notifications = await asyncio.to_thread(read)

    assert now == job
    assert before.status is JobStatus.RUNNING
    assert notifications == [
        (1, "magictoolbox.job.submitted"),
        (2, "magictoolbox.job.attempt_started"),
        (3, "magictoolbox.job.cancelled"),
    ]


@pytest.mark.parametrize("who", ["auditor", "owner"])
async def test_the_stock_library_cannot_write(
    postgres_store: Store, who: str, auditor_url: str, database_url: str
) -> None:
    """The auditor lacks the right; the owner fails as the position has no default."""
    url = {"auditor": auditor_url, "owner": database_url}[who]
    await postgres_store.repository.save(submitted_job())
    event = StoredEvent(uuid7(), 1, "magictoolbox.job.cancelled", b"{}")

    def write() -> None:
        with open_read_only(url) as store:
            recorder = store.recorder
            assert isinstance(recorder, PostgresApplicationRecorder)
            recorder.insert_events([event])

    with pytest.raises(PersistenceError):
        await asyncio.to_thread(write)
    assert await postgres_store.log.head() == 1
