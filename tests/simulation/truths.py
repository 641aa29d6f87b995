"""What is true at the end of every world."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from events.contracts import job as facts
from events.contracts import schedule as schedules
from events.contracts import workflow as workflows
from events.contracts.envelope import RecordedRow
from events.contracts.values import PLATFORM_TENANT, JobStatus
from events.domain.job import Job
from events.domain.workflow import Workflow
from events.store.codec import Codec
from processors.changes import State
from processors.folding import Folding, Unheard
from processors.look_up import known_jobs
from processors.sweeper.by_hand import sweep
from processors.sweeper.inspection import Inspection
from processors.work_memory import MemoryWork
from projectors.group import Group
from tests.simulation.read_models import GENERATION, ReadModels
from tests.simulation.world import World

ENDINGS = (
    facts.AttemptSucceeded,
    facts.AttemptFailed,
    facts.AttemptExpired,
    facts.AttemptHandedBack,
    facts.JobCancelled,
)


async def check(world: World) -> None:
    """Raise AssertionError at the first that does not hold."""
    log = world.outside.log
    rows = await log.read_after(0)
    streams = await log.read_streams(list({row.originator_id for row in rows}))
    codec = Codec()
    accepted = {*world.accepted, *world.workflows, *world.schedules}
    assert accepted <= streams.keys(), "what was accepted is lost"
    jobs: list[Job] = []
    for stream in streams.values():
        history = [codec.decode_row(row).fact for row in stream]
        if isinstance(history[0], facts.JobSubmitted):
            jobs.append(world.repository.fold(Job, stream))
            _job_went_well(world, jobs[-1], history)
        elif isinstance(history[0], workflows.WorkflowSubmitted):
            _workflow_went_well(world.repository.fold(Workflow, stream), history, streams)
        elif isinstance(history[0], schedules.ScheduleCreated):
            _ticks_have_one_job_each(history, streams)
    _limit_was_kept(world, [(row, codec.decode_row(row).fact) for row in rows])
    _stream_is_the_log(world, rows)
    await _blobs_are_those_of_jobs(world, jobs)
    await _read_models_equal_a_fold(world, rows)
    await _work_equals_a_fold(world, rows)


def _job_went_well(world: World, job: Job, history: Sequence[Any]) -> None:
    assert job.status.is_final, f"{job.id} is {job.status}"
    assert job.attempt <= job.attempts_max
    assert job.status is not JobStatus.SUCCEEDED or job.outputs
    reopened = any(isinstance(fact, facts.JobReopened) for fact in history)
    assert job.workflow is None or not reopened, "tried again behind its workflow's back"
    _has_one_outcome_at_a_time(history)
    _expired_only_if_dead(world, history)


def _workflow_went_well(
    workflow: Workflow, history: Sequence[Any], streams: Mapping[UUID, Any]
) -> None:
    """It ended once a round, each step started at most once in one, and its jobs are there."""
    assert workflow.status.is_final
    started: set[tuple[str, int]] = set()
    made: set[str] = set()
    is_open = True
    for fact in history[1:]:
        match fact:
            case workflows.StepStarted():
                assert is_open, "a step was started after the end"
                assert (fact.step, fact.round) not in started, "a step was started twice"
                started.add((fact.step, fact.round))
                assert {UUID(job) for job in fact.jobs} <= streams.keys(), "a step's job is lost"
                assert not made.intersection(set(fact.jobs) - set(fact.kept or ())), "made twice"
                assert made.issuperset(fact.kept or ()), "kept what never was"
                made.update(fact.jobs)
            case workflows.WorkflowReopened():
                assert not is_open
                is_open = True
            case workflows.WorkflowSucceeded() | workflows.WorkflowFailed():
                assert is_open, "ended twice"
                is_open = False
            case workflows.WorkflowCancelled():
                assert is_open, "cancelled after the end"
                is_open = False


def _ticks_have_one_job_each(history: Sequence[Any], streams: Mapping[UUID, Any]) -> None:
    fired = [fact for fact in history if isinstance(fact, schedules.ScheduleFired)]
    ticks = [fact.tick for fact in fired]
    assert len(set(ticks)) == len(ticks), "two jobs for one tick"
    assert {UUID(fact.job) for fact in fired} <= streams.keys(), "a tick's job is lost"


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
            case facts.JobWaitExpired():
                assert not running, "it waited while it ran"
                assert not final, "ended twice"
                final = True
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


def _limit_was_kept(world: World, events: Sequence[tuple[RecordedRow, Any]]) -> None:
    running: set[UUID] = set()
    for row, fact in events:
        if world.limited not in (row.tenant, PLATFORM_TENANT):
            continue
        if isinstance(fact, facts.AttemptStarted):
            running.add(row.originator_id)
            assert len(running) <= 1, f"two jobs of {world.limited} ran at position {row.position}"
        elif isinstance(fact, ENDINGS):
            running.discard(row.originator_id)


def _stream_is_the_log(world: World, rows: Sequence[RecordedRow]) -> None:
    stream = world.outside.nats.streams["EVENTS"]
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    for row in rows[stream.first - 1 :]:
        assert stream.messages[row.position].body == row.state


async def _blobs_are_those_of_jobs(world: World, jobs: Sequence[Job]) -> None:
    """What a job needs is there; what else is, is an input that was used, or goes with a sweep."""
    inputs = {job.id: {file.blob_key for file in job.inputs} for job in jobs}
    outputs = {file.blob_key for job in jobs for file in job.outputs}
    succeeded = [job.id for job in jobs if job.status is JobStatus.SUCCEEDED]
    needed = outputs.union(*(keys for id_, keys in inputs.items() if id_ not in succeeded))
    blobs = world.outside.blobs
    assert needed <= set(blobs._blobs), "a blob is missing"
    if not world.has_killed:
        assert set(blobs._blobs) <= outputs.union(*inputs.values()), "a blob was left behind"
    # Younger than that is none.
    inspection = Inspection(world.outside.references, blobs, -1.0, world.outside.clock)
    await sweep(inspection, dry_run=False, wait=lambda seconds: asyncio.sleep(0))
    assert set(blobs._blobs) == needed, "a blob stays that nobody needs"


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
