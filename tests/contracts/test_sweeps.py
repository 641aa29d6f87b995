"""What the clock sees and what beats do, held against PostgreSQL and its in-memory twin alike."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from events.store.repository import Repository
from infrastructure.clock import SystemClock
from processors.changes import Changes, JobRow, State, Step, Timer, WaitingJob
from processors.lease import Beats, Held, PostgresBeats
from processors.silence import Pulse
from processors.sweeps import Found, PostgresSweeps, Sweeps
from processors.work import PostgresWork, WorkStore
from processors.work_memory import MemoryBeats, MemorySweeps, MemoryWork
from tests.fixtures.events import Store, origin, submitted_job

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR_OFF = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Stand:
    """The tables from all sides, and the log beside them."""

    work: WorkStore
    sweeps: Sweeps
    beats: Beats
    repository: Repository


@pytest.fixture
async def postgres_stand(database_url: str, postgres_store: Store) -> AsyncIterator[Stand]:
    work, sweeps = PostgresWork(database_url), PostgresSweeps(database_url)
    beats = PostgresBeats(database_url)
    yield Stand(work, sweeps, beats, postgres_store.repository)
    for each in (work, sweeps, beats):
        await each.close()


@pytest.fixture
def memory_stand(memory_store: Store) -> Stand:
    work, clock = MemoryWork(), SystemClock()
    beats = MemoryBeats(work, memory_store.log, clock)
    return Stand(work, MemorySweeps(work, clock), beats, memory_store.repository)


@pytest.fixture(params=["postgres_stand", "memory_stand"])
def stand(request: pytest.FixtureRequest) -> Stand:
    return request.getfixturevalue(request.param)


def row(number: int, state: State, *, due_at: datetime | None = None, lease: int = 0) -> JobRow:
    job = WaitingJob(UUID(int=number), "acme", "default", 0, "no-op", 60.0)
    step = Step(state, 1, number, LONG_AGO, due_at=due_at, lease=lease)
    return JobRow(job, step, place=number, lease=lease, is_first=True)


async def enter(stand: Stand, *rows: JobRow) -> None:
    changes = Changes()
    for each in rows:
        changes.enter(each)
    await stand.work.persist(changes, 0, 1)


async def test_what_is_due_comes_oldest_first_and_no_more_than_asked(stand: Stand) -> None:
    days = {1: 3, 2: 1, 3: 2}
    await enter(
        stand,
        *(row(n, State.DUE, due_at=LONG_AGO + timedelta(days=day)) for n, day in days.items()),
        row(4, State.DUE, due_at=FAR_OFF),
        row(5, State.QUEUED),
    )

    found = await stand.sweeps.look(2, 10)

    assert found.due == [UUID(int=2), UUID(int=3)]
    assert found.is_cut(2)
    assert found.next_due_seconds is not None
    assert found.next_due_seconds > timedelta(days=365).total_seconds()


async def test_nothing_waits_for_a_time(stand: Stand) -> None:
    await enter(stand, row(1, State.QUEUED))

    found = await stand.sweeps.look(10, 10)

    assert (found.due, found.pulses, found.next_due_seconds) == ([], [], None)
    assert not found.is_cut(10)


async def test_results_and_uploads_that_are_over_are_found(stand: Stand) -> None:
    changes = Changes()
    for number, moment in ((1, LONG_AGO), (2, FAR_OFF)):
        changes.keep_result(UUID(int=number), moment)
        changes.keep_upload(UUID(int=10 + number), moment)
    await stand.work.persist(changes, 0, 1)

    found = await stand.sweeps.look(10, 10)

    assert (found.results, found.uploads) == ([UUID(int=1)], [UUID(int=11)])


async def test_timers_that_are_over_are_found_by_their_kind(stand: Stand) -> None:
    changes = Changes()
    for number, moment in ((1, LONG_AGO), (2, FAR_OFF)):
        changes.set_timer(Timer.WAIT, UUID(int=number), moment)
        changes.set_timer(Timer.SCHEDULE, UUID(int=10 + number), moment)
    await stand.work.persist(changes, 0, 1)

    found = await stand.sweeps.look(10, 10)

    assert (found.waits, found.schedules) == ([UUID(int=1)], [UUID(int=11)])
    assert found.next_due_seconds is not None
    assert stand_cut(found)


def stand_cut(found: Found) -> bool:
    """One of a kind is all that was asked for."""
    return found.is_cut(1) and not found.is_cut(2)


@pytest.mark.parametrize("what", [State.RUNNING, "ended"])
async def test_a_job_that_started_or_ended_has_no_timer(stand: Stand, what: State | str) -> None:
    await enter(stand, row(1, State.QUEUED))
    changes = Changes()
    changes.set_timer(Timer.WAIT, UUID(int=1), LONG_AGO)
    await stand.work.persist(changes, 1, 2)
    assert (await stand.sweeps.look(10, 10)).waits == [UUID(int=1)]

    changes = Changes()
    if what is State.RUNNING:
        changes.move(UUID(int=1), Step(State.RUNNING, 2, 3, LONG_AGO, lease=1, worker="w"))
    else:
        changes.end(UUID(int=1))
    await stand.work.persist(changes, 2, 3)

    assert (await stand.sweeps.look(10, 10)).waits == []


async def test_a_pulse_shows_the_beats_of_its_own_lease_only(stand: Stand) -> None:
    await enter(stand, row(1, State.RUNNING, lease=2), row(2, State.RUNNING, lease=1))
    await stand.beats.beat("w1", [_held(1, 1)], [])

    assert (await stand.sweeps.look(10, 10)).pulses == [
        Pulse(UUID(int=1), 2, None),
        Pulse(UUID(int=2), 1, None),
    ]

    await stand.beats.beat("w2", [_held(1, 2)], [])
    await stand.beats.beat("w2", [_held(1, 2)], [])
    before = (await stand.sweeps.look(10, 10)).pulses[0].beats
    await stand.beats.beat("w1", [_held(1, 1)], [])

    assert before is not None
    assert (await stand.sweeps.look(10, 1)).pulses == [Pulse(UUID(int=1), 2, before)]


async def test_only_its_own_worker_ends_a_beat(stand: Stand) -> None:
    await enter(stand, row(1, State.RUNNING, lease=1))
    await stand.beats.beat("w1", [_held(1, 1)], [])

    await stand.beats.beat("w2", [], [UUID(int=1)])
    assert (await stand.sweeps.look(10, 10)).pulses[0].beats == 1

    await stand.beats.beat("w1", [], [UUID(int=1)])
    assert (await stand.sweeps.look(10, 10)).pulses[0].beats is None


async def test_a_beat_tells_of_jobs_that_moved_on(stand: Stand) -> None:
    job, other = submitted_job(), submitted_job()
    await stand.repository.save(job)
    await stand.repository.save(other)
    held = [Held(each.id, 1, each.version, lambda loss: None) for each in (job, other)]
    assert await stand.beats.beat("w1", held, []) == []

    job.cancel(origin())
    await stand.repository.save(job)

    assert await stand.beats.beat("w1", held, []) == [job.id]


async def test_a_connection_for_beats_that_breaks_is_noticed_though_nobody_uses_it(
    postgres_stand: Stand, database_url: str
) -> None:
    await postgres_stand.beats.beat("w1", [], [])
    assert not postgres_stand.beats.cut.is_set()
    watch = await asyncpg.connect(database_url)
    await watch.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND query LIKE '%INSERT INTO work.leases%' "
        "AND pid <> pg_backend_pid()"
    )
    await watch.close()

    async with asyncio.timeout(30):
        await postgres_stand.beats.cut.wait()

    await postgres_stand.beats.beat("w1", [], [])


async def test_leases_of_the_dead_are_tidied_away(stand: Stand) -> None:
    await enter(stand, row(1, State.RUNNING, lease=1), row(2, State.RUNNING, lease=2))
    await stand.beats.beat("w1", [_held(1, 1), _held(2, 1), _held(3, 1)], [])

    await stand.sweeps.tidy(timedelta(hours=1))
    await stand.sweeps.tidy(timedelta(seconds=-1))
    await stand.beats.beat("w1", [_held(1, 1), _held(2, 1)], [])

    pulses = {pulse.job_id.int: pulse.beats for pulse in (await stand.sweeps.look(10, 10)).pulses}
    assert pulses == {1: 2, 2: None}


def _held(number: int, lease: int) -> Held:
    return Held(UUID(int=number), lease, 1, lambda loss: None)
