"""Who watches a job is told when its row has another version."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import pytest

from infrastructure.batching import Overloaded
from query_api import job_watch
from query_api.errors import Unavailable
from query_api.job_watch import JobWatch

LONG = 20.0


class Rows:
    """The versions as the database would tell them."""

    def __init__(self) -> None:
        self.versions: dict[UUID, int] = {}
        self.asked: list[set[UUID]] = []
        self.fails = False
        self.was_asked = asyncio.Event()

    async def read(self, job_ids: Sequence[UUID]) -> dict[UUID, int]:
        self.asked.append(set(job_ids))
        self.was_asked.set()
        if self.fails:
            raise Unavailable
        return {key: self.versions[key] for key in job_ids if key in self.versions}

    async def looked(self) -> None:
        """Wait until the watch has asked once more."""
        self.was_asked.clear()
        async with asyncio.timeout(LONG):
            await self.was_asked.wait()


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
async def watch(rows: Rows) -> AsyncIterator[JobWatch]:
    watch = JobWatch(rows.read)
    looking = asyncio.create_task(watch.run())
    yield watch
    looking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await looking


async def test_a_poke_tells_the_watcher_of_a_changed_row(watch: JobWatch, rows: Rows) -> None:
    job_id = uuid4()
    rows.versions[job_id] = 3
    watching = asyncio.create_task(watch.changed(job_id, 3, LONG))
    await rows.looked()
    assert not watching.done()

    rows.versions[job_id] = 4
    watch.poke()

    async with asyncio.timeout(LONG):
        await watching


async def test_a_change_before_the_watch_began_is_told_at_once(watch: JobWatch, rows: Rows) -> None:
    job_id = uuid4()
    rows.versions[job_id] = 4

    async with asyncio.timeout(LONG):
        await watch.changed(job_id, 3, LONG)


async def test_without_pokes_the_rows_are_looked_at_anyway(
    watch: JobWatch, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watch, "POLL_SECONDS", 0.01)
    job_id = uuid4()
    rows.versions[job_id] = 3
    watching = asyncio.create_task(watch.changed(job_id, 3, LONG))
    await rows.looked()

    rows.versions[job_id] = 4

    async with asyncio.timeout(LONG):
        await watching


async def test_one_question_serves_all_watchers(watch: JobWatch, rows: Rows) -> None:
    jobs = [uuid4() for _ in range(50)]
    rows.versions = dict.fromkeys(jobs, 1)
    watching = [asyncio.create_task(watch.changed(job, 1, LONG)) for job in jobs * 2]
    await rows.looked()

    assert rows.asked[-1] == set(jobs)
    rows.versions = dict.fromkeys(jobs, 2)
    watch.poke()
    async with asyncio.timeout(LONG):
        await asyncio.gather(*watching)
    assert len(rows.asked) <= 3


async def test_a_failed_look_is_repeated(
    watch: JobWatch, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watch, "POLL_SECONDS", 0.01)
    job_id = uuid4()
    rows.fails = True
    watching = asyncio.create_task(watch.changed(job_id, 3, LONG))
    await rows.looked()

    rows.fails = False
    rows.versions[job_id] = 4

    async with asyncio.timeout(LONG):
        await watching


async def test_a_watch_ends_when_its_time_is_over(watch: JobWatch, rows: Rows) -> None:
    job_id = uuid4()
    rows.versions[job_id] = 3
    began = time.monotonic()

    await watch.changed(job_id, 3, 0.02)

    assert time.monotonic() - began >= 0.02


async def test_more_watchers_than_the_limit_are_refused(
    watch: JobWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watch, "WATCHERS_MAX", 0)

    with pytest.raises(Overloaded):
        await watch.changed(uuid4(), 1, LONG)
