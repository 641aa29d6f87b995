"""Who watches a job is given its row when it has another version."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from uuid import UUID

import pytest

from events.contracts.envelope import RecordedEvent
from infrastructure.batching import Overloaded
from infrastructure.periodic import ServiceLoop
from query_api import job_watch
from query_api.errors import Unavailable
from query_api.job_watch import JobWatch
from query_api.past import folded
from query_api.queries.applied import Applied
from query_api.queries.jobs import JobRow
from tests.fixtures.events import NOON, submitted_job

LONG = 60.0
POSITION = 77


def row_at(version: int) -> JobRow:
    """The row of a job of its own, in that version."""
    (fact,) = submitted_job().pending_events
    row = folded([RecordedEvent(1, fact, NOON)])  # type: ignore[arg-type]
    assert row is not None
    return replace(row, version=version)


class Rows:
    """The rows as the database has them."""

    def __init__(self) -> None:
        self.rows: dict[UUID, JobRow] = {}
        self.asked: list[set[tuple[UUID, int]]] = []
        self.fails = False
        self.was_asked = asyncio.Event()

    def put(self, row: JobRow) -> JobRow:
        self.rows[row.job_id] = row
        return row

    def advance(self, row: JobRow) -> JobRow:
        return self.put(replace(row, version=row.version + 1))

    async def read(self, seen: Collection[tuple[UUID, int]]) -> Applied[list[JobRow]]:
        self.asked.append(set(seen))
        self.was_asked.set()
        if self.fails:
            raise Unavailable
        changed = [self.rows[key] for key, version in seen if self.rows[key].version != version]
        return Applied(changed, POSITION)

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
    """It looks when it is woken, as good as never without."""
    async with looking(JobWatch(rows.read), idle_seconds=LONG) as watch:
        yield watch


@pytest.fixture
async def restless_watch(rows: Rows) -> AsyncIterator[JobWatch]:
    """It looks all the time."""
    async with looking(JobWatch(rows.read), idle_seconds=0.01) as watch:
        yield watch


@contextlib.asynccontextmanager
async def looking(watch: JobWatch, idle_seconds: float) -> AsyncIterator[JobWatch]:
    loop = ServiceLoop(watch, wake=watch.wake, idle_seconds=idle_seconds)
    running = asyncio.create_task(loop.run())
    yield watch
    loop.drain()
    await running


def watching(watch: JobWatch, row: JobRow) -> asyncio.Task[Applied[JobRow] | None]:
    """Somebody who has this row and watches for the next."""
    return asyncio.create_task(watch.next_version(row.job_id, row.version, LONG))


async def given(told: asyncio.Task[Applied[JobRow] | None]) -> JobRow:
    """What the watcher is given, soon."""
    async with asyncio.timeout(LONG):
        applied = await told
    assert applied is not None
    assert applied.position == POSITION
    return applied.found


async def test_a_poke_brings_the_changed_row(watch: JobWatch, rows: Rows) -> None:
    seen = rows.put(row_at(3))
    told = watching(watch, seen)
    await rows.looked()
    assert not told.done()

    changed = rows.advance(seen)
    watch.poke()

    assert await given(told) == changed


async def test_a_change_before_the_watch_began_is_told_at_once(watch: JobWatch, rows: Rows) -> None:
    seen = rows.put(row_at(3))
    changed = rows.advance(seen)

    assert await given(watching(watch, seen)) == changed


async def test_without_pokes_the_rows_are_looked_at_anyway(
    restless_watch: JobWatch, rows: Rows
) -> None:
    seen = rows.put(row_at(3))
    told = watching(restless_watch, seen)
    await rows.looked()

    changed = rows.advance(seen)

    assert await given(told) == changed


async def test_one_question_serves_all_watchers(watch: JobWatch, rows: Rows) -> None:
    seen = [rows.put(row_at(1)) for _ in range(50)]
    told = [watching(watch, row) for row in seen * 2]
    await rows.looked()

    assert rows.asked[-1] == {(row.job_id, 1) for row in seen}
    changed = [rows.advance(row) for row in seen]
    watch.poke()
    assert [await given(each) for each in told] == changed * 2
    assert len(rows.asked) <= 3


async def test_watchers_of_two_versions_are_each_given_what_they_lack(
    watch: JobWatch, rows: Rows
) -> None:
    old = row_at(3)
    new = rows.advance(old)
    behind, up_to_date = watching(watch, old), watching(watch, new)

    assert await given(behind) == new
    assert not up_to_date.done()
    newest = rows.advance(new)
    watch.poke()
    assert await given(up_to_date) == newest


async def test_a_failed_look_is_repeated(restless_watch: JobWatch, rows: Rows) -> None:
    seen = rows.put(row_at(3))
    rows.fails = True
    told = watching(restless_watch, seen)
    await rows.looked()

    rows.fails = False
    changed = rows.advance(seen)

    assert await given(told) == changed


async def test_a_watch_without_a_change_ends_when_its_time_is_over(
    watch: JobWatch, rows: Rows
) -> None:
    seen = rows.put(row_at(3))
    began = time.monotonic()

    assert await watch.next_version(seen.job_id, seen.version, 0.02) is None

    assert time.monotonic() - began >= 0.02


async def test_more_watchers_than_the_limit_are_refused(
    watch: JobWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watch, "WATCHERS_MAX", 0)

    with pytest.raises(Overloaded):
        await watch.next_version(row_at(1).job_id, 1, LONG)


async def test_everybody_is_sent_away_when_the_process_ends(watch: JobWatch, rows: Rows) -> None:
    seen = rows.put(row_at(3))
    told = watching(watch, seen)
    await rows.looked()

    watch.end()

    async with asyncio.timeout(LONG):
        assert await told is None
        assert await watch.next_version(seen.job_id, seen.version, LONG) is None
