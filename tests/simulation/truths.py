"""What is true at the end of every world."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from events.contracts import job as facts
from events.contracts.envelope import RecordedRow
from events.contracts.values import JobStatus
from events.domain.job import Job
from events.store.codec import Codec
from processors.changes import State
from processors.folding import Folding, Unheard
from processors.look_up import known_jobs
from processors.work_memory import MemoryWork
from projectors.group import Group
from tests.simulation.read_models import GENERATION, ReadModels
from tests.simulation.world import World

ENDINGS = (facts.AttemptSucceeded, facts.AttemptFailed, facts.AttemptExpired, facts.JobCancelled)


async def check(world: World) -> None:
    """Raise AssertionError at the first that does not hold."""
    log = world.outside.log
    rows = await log.read_after(0)
    streams = await log.read_streams(list({row.originator_id for row in rows}))
    codec = Codec()
    for job_id in world.accepted:
        assert job_id in streams, f"the accepted job {job_id} is lost"
        history = [codec.decode_row(row).fact for row in streams[job_id]]
        _has_one_outcome_at_a_time(history)
        job = world.repository.fold(Job, streams[job_id])
        assert job.status.is_final, f"{job_id} is {job.status}"
        assert job.attempt <= job.attempts_max
        _expired_only_if_dead(world, history)
    _stream_is_the_log(world, rows)
    await _blobs_are_those_of_results(world)
    await _read_models_equal_a_fold(world, rows)
    await _work_equals_a_fold(world, rows)


def _has_one_outcome_at_a_time(history: Sequence[Any]) -> None:
    lease, running, final = 0, False, False
    for fact in history:
        match fact:
            case facts.AttemptStarted():
                assert not running, "claimed while it ran"
                assert not final, "claimed after the end"
                assert fact.lease == lease + 1
                lease, running = fact.lease, True
            case facts.AttemptSucceeded() | facts.AttemptFailed() | facts.AttemptExpired():
                assert (running, fact.lease) == (True, lease), "an outcome without its lease"
                running = False
                final = _ends(fact)
            case facts.AttemptHandedBack():
                assert (running, fact.lease) == (True, lease), "handed back by somebody else"
                running = False
            case facts.JobCancelled():
                assert not final, "ended twice"
                running, final = False, True
            case facts.JobReopened():
                assert final
                final = False


def _ends(fact: Any) -> bool:
    match fact:
        case facts.AttemptFailed():
            return fact.retry_at is None
        case facts.AttemptExpired():
            return not fact.requeued
    return True


def _expired_only_if_dead(world: World, history: Sequence[Any]) -> None:
    """No job is run again only because it is slow, also while servers come and go."""
    workers = {
        fact.lease: fact.worker for fact in history if isinstance(fact, facts.AttemptStarted)
    }
    for fact in history:
        if isinstance(fact, facts.AttemptExpired):
            assert workers[fact.lease] in world.dead_workers, "a living worker's job was taken"


def _stream_is_the_log(world: World, rows: Sequence[RecordedRow]) -> None:
    stream = world.outside.nats.streams["EVENTS"]
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    for row in rows[stream.first - 1 :]:
        assert stream.messages[row.position].body == row.state


async def _blobs_are_those_of_results(world: World) -> None:
    """Outputs are promoted once: each result has its blob, and no other blob is there."""
    wanted: Counter[str] = Counter()
    for job_id in world.accepted:
        job = await world.repository.load(Job, job_id)
        wanted.update(file.blob_key for file in job.outputs)
        if job.status is JobStatus.SUCCEEDED:
            assert len(job.outputs) == 1
    there = set(world.outside.blobs._blobs)
    assert set(wanted) <= there, "a result's blob is missing"
    if not world.dead_workers:
        assert there == set(wanted), "a blob is left that nothing refers to"


async def _read_models_equal_a_fold(world: World, rows: Sequence[RecordedRow]) -> None:
    group, fresh = Group(), ReadModels()
    group.fold(group.decode(rows))
    for write in group.writes(GENERATION):
        fresh.write(write)
    live = world.outside.models
    assert live.tables == fresh.tables


async def _work_equals_a_fold(world: World, rows: Sequence[RecordedRow]) -> None:
    folding, fresh, log = Folding(Unheard()), MemoryWork(), world.outside.log
    folding.fold(rows, await known_jobs(log, fresh, folding.to_look_up(rows)))
    await fresh.persist(folding.take_changes(), 0, len(rows))
    live = world.outside.work
    assert _states(live) == _states(fresh)
    assert (live.results, live.uploads) == (fresh.results, fresh.uploads)


def _states(work: MemoryWork) -> dict[UUID, State]:
    return {job_id: row.step.state for job_id, row in work.jobs.items()}
