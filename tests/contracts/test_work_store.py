"""What the tables of work promise, held against PostgreSQL and its in-memory twin alike."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from events.contracts.fact import AnyFact
from events.contracts.limit import LimitScope
from events.domain.limit import Bounds, Limit
from events.domain.queue import Queue
from processors.changes import (
    Changes,
    JobRow,
    PausedQueue,
    SetLimit,
    State,
    Step,
    Timer,
    WaitingJob,
)
from processors.folding import Folding, Unheard
from processors.gates import Bound, Scope
from processors.lanes import LaneKey
from processors.look_up import known_jobs
from processors.rebuild import rebuild
from processors.work import CheckpointMoved, PostgresWork, WorkStore
from processors.work_memory import MemoryWork
from tests.factories.histories import Histories, facts_of, recorded
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


async def test_each_lane_has_a_front_of_its_own(work: WorkStore) -> None:
    rows = [
        queued(1),
        queued(2, priority=5),
        queued(3, tenant="globex"),
        queued(4, tool="ocr"),
        queued(5, limit_key="k"),
        queued(6),
    ]
    await work.persist(entering(*rows), 0, 6)

    fronts = (await work.standing(10, 10)).fronts

    assert {front.lane: [job.place for job in front.jobs] for front in fronts} == {
        lane(): [1, 6],
        lane(priority=5): [2],
        lane(tenant="globex"): [3],
        lane(tool="ocr"): [4],
        lane(limit_key="k"): [5],
    }
    first, second = await work.beyond([(lane(), 1), (lane(tool="ocr"), 0)], 5)
    assert ([job.place for job in first], [job.place for job in second]) == ([6], [4])


async def test_of_too_many_lanes_those_are_taken_up_that_wait_longest(work: WorkStore) -> None:
    rows = [queued(1, tool="c"), queued(2, tool="b"), queued(3, tool="a")]
    await work.persist(entering(*rows), 0, 3)

    fronts = (await work.standing(10, 2)).fronts

    assert [front.lane.tool for front in fronts] == ["c", "b"]


async def test_another_priority_moves_a_job_to_another_lane(work: WorkStore) -> None:
    await work.persist(entering(queued(1), queued(2)), 0, 2)
    changes = Changes()
    changes.move(job_id(2), Step(State.QUEUED, 1, 2, NOON, priority=7))

    await work.persist(changes, 2, 3)

    assert await depths(work) == {lane(): 1, lane(priority=7): 1}


async def test_what_runs_is_told_with_its_lane(work: WorkStore) -> None:
    await work.persist(entering(queued(1, limit_key="k"), queued(2)), 0, 2)
    changes = Changes()
    changes.move(job_id(1), Step(State.RUNNING, 2, 3, NOON, lease=1, worker="w"))

    await work.persist(changes, 2, 3)

    assert (await work.standing(1, 10)).running == {job_id(1): lane(limit_key="k")}


async def test_limits_and_pauses_are_kept_until_they_are_gone(work: WorkStore) -> None:
    limit = SetLimit(Scope("acme", LimitScope.TOOL, "ocr"), Bound(3, 5, 60.0))
    paused = PausedQueue("acme", "bulk")
    await work.persist(steering({job_id(1): limit}, {job_id(2): paused}), 0, 1)
    standing = await work.standing(1, 1)
    assert (standing.limits, standing.paused) == ([limit], [paused])

    await work.persist(steering({job_id(1): None}, {job_id(2): None}), 1, 2)

    standing = await work.standing(1, 1)
    assert (standing.limits, standing.paused) == ([], [])


async def test_a_second_dispatcher_sets_no_limit(work: WorkStore) -> None:
    limit = SetLimit(Scope("acme", LimitScope.TENANT, ""), Bound(1))
    await work.persist(Changes(), 0, 5)

    with pytest.raises(CheckpointMoved):
        await work.persist(steering({job_id(1): limit}, {}), 0, 1)

    assert (await work.standing(1, 1)).limits == []


def steering(
    limits: dict[UUID, SetLimit | None], pauses: dict[UUID, PausedQueue | None]
) -> Changes:
    return Changes(limits=limits, pauses=pauses)


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
    histories = Histories(seed=5)
    rows = [*histories.log(jobs=60), *recorded(steered(histories))]
    log = await log_of(rows)
    await rebuild(log, postgres_work)
    before = await postgres_work.find([row.originator_id for row in rows])
    standing = await postgres_work.standing(100, 100)
    assert standing.limits, "some limits are set"
    assert standing.paused, "some queues are paused"

    position = await rebuild(log, postgres_work)

    assert position == len(rows)
    assert before, "some jobs are still at work"
    assert await postgres_work.find([row.originator_id for row in rows]) == before
    assert await postgres_work.standing(100, 100) == standing


def steered(histories: Histories) -> list[AnyFact]:
    """Facts of a limit and of a paused queue."""
    limit = Limit.introduce(LimitScope.TOOL, "no-op", None, histories.origin())
    limit.set(Bounds(concurrency=2), histories.origin())
    queue = Queue.introduce("bulk", histories.origin())
    queue.pause(histories.origin())
    return [*facts_of(limit), *facts_of(queue)]


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
