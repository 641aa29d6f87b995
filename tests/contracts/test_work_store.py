"""What the tables of work promise, held against PostgreSQL and its in-memory twin alike."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from processors.changes import Changes, JobRow, State, Step, Timer, WaitingJob
from processors.folding import Folding, Unheard
from processors.lanes import LaneKey
from processors.look_up import known_jobs
from processors.rebuild import rebuild
from processors.work import CheckpointMoved, PostgresWork, WorkStore
from processors.work_memory import MemoryWork
from tests.factories.histories import Histories
from tests.fixtures.work import log_of

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
async def postgres_work(database_url: str) -> AsyncIterator[PostgresWork]:
    work = PostgresWork(database_url)
    yield work
    await work.close()


@pytest.fixture
def memory_work() -> MemoryWork:
    return MemoryWork()


@pytest.fixture(params=["postgres_work", "memory_work"])
def work(request: pytest.FixtureRequest) -> WorkStore:
    return request.getfixturevalue(request.param)


def job_id(number: int) -> UUID:
    return UUID(int=number)


def lane(queue: str = "default", **changes: object) -> LaneKey:
    return LaneKey(queue, 0, "acme", "no-op", "")._replace(**changes)


def queued(number: int, queue: str = "default", **changes: object) -> JobRow:
    job = WaitingJob(job_id(number), "acme", queue, 0, "no-op", 60.0)
    job = replace(job, **changes)  # type: ignore[arg-type]
    since = NOON + timedelta(seconds=number)
    return JobRow(job, Step(State.QUEUED, 1, number, since), place=number, is_first=True)


def entering(*rows: JobRow) -> Changes:
    changes = Changes()
    for row in rows:
        changes.enter(row)
    return changes


async def waiting(work: WorkStore, queue: str = "default") -> list[int]:
    (jobs,) = await work.beyond([(lane(queue), 0)], 100)
    return [job.place for job in jobs]


async def depths(work: WorkStore) -> dict[LaneKey, int]:
    standing = await work.standing(1, 100)
    return {front.lane: front.depth for front in standing.fronts}


async def test_what_waits_is_found_in_order(work: WorkStore) -> None:
    await work.persist(entering(queued(3), queued(1), queued(2, "other")), 0, 3)

    assert await waiting(work) == [1, 3]
    assert await depths(work) == {lane(): 2, lane("other"): 1}


async def test_a_reader_goes_on_from_the_place_it_reached(work: WorkStore) -> None:
    await work.persist(entering(*(queued(number) for number in range(1, 9))), 0, 8)

    (beyond,) = await work.beyond([(lane(), 3)], 2)

    assert [(job.job_id, job.place) for job in beyond] == [(job_id(4), 4), (job_id(5), 5)]


async def test_a_running_job_waits_no_more_and_keeps_its_place(work: WorkStore) -> None:
    await work.persist(entering(queued(1), queued(2)), 0, 2)
    running, back = Changes(), Changes()
    running.move(job_id(1), Step(State.RUNNING, 2, 3, NOON, lease=1, worker="w"))
    back.move(job_id(1), Step(State.QUEUED, 3, 4, NOON))

    await work.persist(running, 2, 3)
    assert await waiting(work) == [2]
    await work.persist(back, 3, 4)

    assert await waiting(work) == [1, 2]
    found = (await work.find([job_id(1)]))[job_id(1)]
    assert (found.step.state, found.step.version, found.lease) == (State.QUEUED, 3, 1)


async def test_a_job_that_ended_has_no_row(work: WorkStore) -> None:
    await work.persist(entering(queued(1)), 0, 1)
    changes = Changes()
    changes.end(job_id(1))

    await work.persist(changes, 1, 2)

    assert await work.find([job_id(1)]) == {}


async def test_the_checkpoint_moves_with_the_rows(work: WorkStore) -> None:
    await work.persist(entering(queued(1)), 0, 1)
    await work.persist(Changes(), 1, 17)

    standing = await work.standing(10, 10)

    assert standing.position == 17
    assert [(front.lane, front.depth) for front in standing.fronts] == [(lane(), 1)]
    assert [job.place for job in standing.fronts[0].jobs] == [1]


async def test_a_second_dispatcher_writes_nothing(work: WorkStore) -> None:
    await work.persist(entering(queued(1)), 0, 1)

    with pytest.raises(CheckpointMoved):
        await work.persist(entering(queued(2)), 0, 2)
    with pytest.raises(CheckpointMoved):
        await work.persist(Changes(), 0, 2)

    assert await waiting(work) == [1]
    assert (await work.standing(1, 1)).position == 1


async def test_a_front_shows_the_first_and_counts_all(work: WorkStore) -> None:
    await work.persist(entering(*(queued(number) for number in range(1, 8))), 0, 7)

    (front,) = (await work.standing(3, 1)).fronts

    assert ([job.place for job in front.jobs], front.depth) == ([1, 2, 3], 7)


async def test_postgres_and_memory_fold_a_log_to_equal_tables(
    postgres_work: PostgresWork, memory_work: MemoryWork, database_url: str
) -> None:
    rows = Histories(seed=11).log(jobs=120)
    log = await log_of(rows)
    for store, size in ((postgres_work, 40), (memory_work, 9)):
        folding = Folding(Unheard())
        for first in range(0, len(rows), size):
            batch = await log.read_after(first, size)
            known = await known_jobs(log, store, folding.to_look_up(batch))
            folding.fold(batch, known)
            await store.persist(folding.take_changes(), first, batch[-1].position)

    ids = list(memory_work.jobs)
    in_postgres = await postgres_work.find([*ids, job_id(1)])

    assert len(ids) > 20
    assert {each: summary(row) for each, row in in_postgres.items()} == {
        each: summary(row) for each, row in memory_work.jobs.items()
    }
    assert len(memory_work.timers) > 5
    assert await timers(database_url) == memory_work.timers
    assert await tables(database_url) == {
        "jobs": len(ids),
        "results": len(memory_work.results),
        "uploads": len(memory_work.uploads),
    }


async def test_a_rebuild_gives_equal_tables(
    postgres_work: PostgresWork, memory_work: MemoryWork
) -> None:
    rows = Histories(seed=5).log(jobs=60)
    log = await log_of(rows)
    await rebuild(log, postgres_work)
    before = await postgres_work.find([row.originator_id for row in rows])

    position = await rebuild(log, postgres_work)

    assert position == len(rows)
    assert before, "some jobs are still at work"
    assert await postgres_work.find([row.originator_id for row in rows]) == before


async def timers(url: str) -> dict[tuple[Timer, UUID], datetime]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT timer, subject_id, at FROM work.timers")
        return {(Timer(row[0]), UUID(int=row[1].int)): row[2] for row in rows}
    finally:
        await connection.close()


def summary(row: JobRow) -> tuple[object, ...]:
    step = row.step
    return (row.job, step.state, step.version, step.position, row.place, row.lease)


async def tables(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        return {
            name: await connection.fetchval(f"SELECT count(*) FROM work.{name}")
            for name in ("jobs", "results", "uploads")
        }
    finally:
        await connection.close()
