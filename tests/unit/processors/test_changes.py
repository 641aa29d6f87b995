"""The net effect of a stretch of the log."""

from uuid import UUID

import pytest

from events.contracts.fact import AnyFact
from events.contracts.schedule import ScheduleDeleted
from events.contracts.workflow import WorkflowCancelled, WorkflowFailed, WorkflowSucceeded
from processors.changes import Changes, JobRow, State, Step, WaitingJob
from processors.folding import Folding, Unheard
from processors.look_up import known_jobs
from processors.work_memory import MemoryWork
from tests.factories.histories import Histories, recorded
from tests.fixtures.events import NOON
from tests.fixtures.work import log_of
from tests.golden import corpus

JOB = UUID(int=7)


def step(state: State, version: int = 1, **changes: object) -> Step:
    return Step(state, version, 10 + version, NOON, **changes)  # type: ignore[arg-type]


def row(*, is_first: bool, state: State = State.QUEUED) -> JobRow:
    job = WaitingJob(JOB, "acme", "default", 0, "no-op", 60.0)
    return JobRow(job, step(state), place=11, is_first=is_first)


def test_a_job_that_came_and_ended_leaves_nothing() -> None:
    changes = Changes()

    changes.enter(row(is_first=True))
    changes.move(JOB, step(State.RUNNING, 2, lease=1))
    changes.end(JOB)

    assert len(changes) == 0


def test_a_job_that_came_back_and_ended_is_removed() -> None:
    changes = Changes()

    changes.enter(row(is_first=False))
    changes.end(JOB)

    assert changes.ended == {JOB}


def test_a_job_that_ended_and_came_back_is_written_whole() -> None:
    changes = Changes()

    changes.end(JOB)
    changes.enter(row(is_first=False))

    assert (changes.ended, list(changes.rows)) == (set(), [JOB])


@pytest.mark.parametrize(
    "end", [ScheduleDeleted, WorkflowSucceeded, WorkflowFailed, WorkflowCancelled]
)
def test_the_secrets_of_what_has_ended_go(end: type[AnyFact]) -> None:
    folding = Folding(Unheard())
    fact = corpus.example(end)

    folding.fold(recorded([fact]), {})

    assert folding.changes.secrets_gone == {fact.originator_id}


def test_steps_of_a_job_add_up_to_the_last_one() -> None:
    changes = Changes()

    changes.move(JOB, step(State.QUEUED, 2, place=12))
    changes.move(JOB, step(State.RUNNING, 3, lease=4, worker="w"))
    changes.move(JOB, step(State.QUEUED, 4))

    assert changes.steps[JOB] == step(State.QUEUED, 4, place=12, lease=4)


def test_a_row_that_is_not_written_yet_takes_its_steps_along() -> None:
    changes = Changes()

    changes.enter(row(is_first=True))
    changes.move(JOB, step(State.RUNNING, 2, lease=1, worker="w"))

    written = changes.rows[JOB]
    assert (written.step.state, written.place, written.lease) == (State.RUNNING, 11, 1)


async def test_however_the_log_is_cut_the_tables_are_the_same() -> None:
    rows = Histories(seed=3).log(jobs=150)
    log = await log_of(rows)
    tables = []

    for size in (1, 7, 100, len(rows)):
        work, folding = MemoryWork(), Folding(Unheard())
        for first in range(0, len(rows), size):
            batch = await log.read_after(first, size)
            known = await known_jobs(log, work, folding.to_look_up(batch))
            folding.fold(batch, known)
            await work.persist(folding.take_changes(), first, batch[-1].position)
        tables.append((work.jobs, work.results, work.uploads))

    assert tables[0][0], "some jobs are still at work"
    assert all(table == tables[0] for table in tables[1:])
