"""Folds the log into work: what each event changes in the tables and in the queues.

A pure function of the log: folding the same events again from the same tables gives the same
tables. Events that say nothing about work are not even decoded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from events.contracts import job as facts
from events.contracts import limit as limits
from events.contracts import queue as queue_facts
from events.contracts import schedule as schedules
from events.contracts import upload as uploads
from events.contracts import workflow as workflows
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from events.store.codec import Codec
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
from processors.gates import Bound, Scope
from processors.lanes import LaneKey, Runnable

GOES_ON: Final = frozenset(
    fact.TOPIC
    for fact in (
        facts.JobDue,
        facts.AttemptExpired,
        facts.AttemptHandedBack,
        facts.JobReprioritised,
    )
)
"""Events that may queue a job without saying in which queue."""
LETS_GO: Final = facts.AttemptFailed.TOPIC
"""After it the queues do not know the job any more, although it may go on."""
LEAVES: Final = frozenset(
    fact.TOPIC
    for fact in (
        facts.AttemptStarted,
        facts.ResultReused,
        facts.JobCancelled,
        facts.JobWaitExpired,
    )
)
"""Events that take a job out of its lane, which is known as long as the job is in memory."""
COMES_BACK: Final = facts.JobReopened.TOPIC
"""The same, of a job whose row is gone."""


class Waiting(Protocol):
    """What is told of jobs while they wait and run; `Queues` is the one that acts on it."""

    def knows(self, job_id: UUID) -> bool:
        """Whether `claimed` and `cancelled` need not be told the lane of this job."""
        ...

    def add(self, key: LaneKey, job: Runnable) -> None:
        """A job was queued, or queued again, at its place."""
        ...

    def claimed(self, job_id: UUID, key: LaneKey | None) -> None:
        """A worker took a job; `key` is needed of one that is not known."""
        ...

    def cancelled(self, job_id: UUID, key: LaneKey | None) -> None:
        """A job was called off; `key` is given if it waited and is not known."""
        ...

    def release(self, job_id: UUID) -> None:
        """A job runs no more."""
        ...

    def reprioritised(self, job_id: UUID, old: LaneKey, job: Runnable, priority: int) -> None:
        """A job that waits has another priority."""
        ...

    def set_limit(self, scope: Scope, bound: Bound | None) -> None:
        """Let this be the limit; None: let there be none."""
        ...

    def set_paused(self, tenant: str, queue: str, is_paused: bool) -> None:
        """Stop a tenant's queue, or let it go on."""
        ...


class Unheard:
    """For a fold that is only about the tables."""

    def knows(self, job_id: UUID) -> bool:
        """See `Waiting.knows`."""
        return True

    def add(self, key: LaneKey, job: Runnable) -> None:
        """See `Waiting.add`."""

    def claimed(self, job_id: UUID, key: LaneKey | None) -> None:
        """See `Waiting.claimed`."""

    def cancelled(self, job_id: UUID, key: LaneKey | None) -> None:
        """See `Waiting.cancelled`."""

    def release(self, job_id: UUID) -> None:
        """See `Waiting.release`."""

    def reprioritised(self, job_id: UUID, old: LaneKey, job: Runnable, priority: int) -> None:
        """See `Waiting.reprioritised`."""

    def set_limit(self, scope: Scope, bound: Bound | None) -> None:
        """See `Waiting.set_limit`."""

    def set_paused(self, tenant: str, queue: str, is_paused: bool) -> None:
        """See `Waiting.set_paused`."""


class PlaceUnknown(Exception):
    """An event queues a job that the fold was told nothing about."""


class Folding:
    """Folds rows of the log one after the other; `changes` is what they add up to."""

    def __init__(self, queues: Waiting, codec: Codec | None = None) -> None:
        self.changes = Changes()
        self._queues = queues
        self._codec = codec or Codec()
        self._known: Mapping[UUID, JobRow] = {}
        self._folds: dict[str, Callable[[RecordedRow, Any], None]] = {
            facts.JobSubmitted.TOPIC: self._submitted,
            facts.AttemptStarted.TOPIC: self._started,
            facts.AttemptSucceeded.TOPIC: self._succeeded,
            facts.ResultReused.TOPIC: self._reused,
            facts.AttemptFailed.TOPIC: self._failed,
            facts.AttemptExpired.TOPIC: self._expired,
            facts.AttemptHandedBack.TOPIC: self._given_back,
            facts.JobDue.TOPIC: self._due,
            facts.JobReopened.TOPIC: self._reopened,
            facts.JobCancelled.TOPIC: self._cancelled,
            facts.JobWaitExpired.TOPIC: self._cancelled,
            facts.JobReprioritised.TOPIC: self._reprioritised,
            facts.JobResultExpired.TOPIC: self._result_expired,
            uploads.UploadReceived.TOPIC: self._upload_received,
            uploads.UploadExpired.TOPIC: self._upload_expired,
            limits.LimitSet.TOPIC: self._limit_set,
            limits.LimitRemoved.TOPIC: self._limit_removed,
            queue_facts.QueuePaused.TOPIC: self._queue_paused,
            queue_facts.QueueResumed.TOPIC: self._queue_resumed,
            schedules.ScheduleCreated.TOPIC: self._schedule_waits,
            schedules.ScheduleChanged.TOPIC: self._schedule_waits,
            schedules.ScheduleResumed.TOPIC: self._schedule_waits,
            schedules.ScheduleFired.TOPIC: self._schedule_waits,
            schedules.ScheduleSkipped.TOPIC: self._schedule_waits,
            schedules.SchedulePaused.TOPIC: self._schedule_rests,
            schedules.ScheduleDeleted.TOPIC: self._schedule_ends,
            workflows.WorkflowSucceeded.TOPIC: self._workflow_ends,
            workflows.WorkflowFailed.TOPIC: self._workflow_ends,
            workflows.WorkflowCancelled.TOPIC: self._workflow_ends,
        }

    def to_look_up(self, rows: Sequence[RecordedRow]) -> list[UUID]:
        """The jobs that `fold` has to be told about before it gets these rows."""
        wanted, let_go, knows = set[UUID](), set[UUID](), self._queues.knows
        for row in rows:
            job_id, topic = row.originator_id, row.topic
            if topic in GOES_ON or (topic in LEAVES and (job_id in let_go or not knows(job_id))):
                wanted.add(job_id)
            elif topic == LETS_GO:
                # Known until then, and no more when a later one of these rows is folded.
                let_go.add(job_id)
        if wanted:
            wanted -= {r.originator_id for r in rows if r.topic == facts.JobSubmitted.TOPIC}
            wanted -= self.changes.rows.keys()
        return list(wanted | {row.originator_id for row in rows if row.topic == COMES_BACK})

    def fold(self, rows: Iterable[RecordedRow], known: Mapping[UUID, JobRow]) -> None:
        """Fold the rows, which follow the last ones; `known` are the jobs that were looked up."""
        self._known = known
        for row in rows:
            fold = self._folds.get(row.topic)
            if fold is not None:
                fold(row, self._codec.decode_row(row).fact)

    def take_changes(self) -> Changes:
        """What was folded since the last call."""
        changes, self.changes = self.changes, Changes()
        return changes

    def _submitted(self, row: RecordedRow, fact: facts.JobSubmitted) -> None:
        job = waiting_job(row, fact)
        if fact.run_at is None:
            step = _step(row, State.QUEUED, place=row.position)
        else:
            step = _step(row, State.DUE, due_at=datetime.fromisoformat(fact.run_at))
        self.changes.enter(JobRow(job, step, place=row.position, is_first=True))
        self._may_wait(job, datetime.fromisoformat(fact.run_at) if fact.run_at else row.recorded_at)
        if fact.run_at is None:
            self._queues.add(job.lane, _runnable(row, row.position))

    def _started(self, row: RecordedRow, fact: facts.AttemptStarted) -> None:
        is_known = self._queues.knows(row.originator_id)
        key = None if is_known else self._before(row).job.lane
        self._queues.claimed(row.originator_id, key)
        self.changes.move(
            row.originator_id,
            _step(row, State.RUNNING, lease=fact.lease, worker=fact.worker),
        )

    def _succeeded(self, row: RecordedRow, fact: facts.AttemptSucceeded) -> None:
        self._queues.release(row.originator_id)
        self.changes.end(row.originator_id)
        if fact.outputs:
            expires_at = datetime.fromisoformat(fact.expires_at)
            self.changes.keep_result(row.originator_id, expires_at)

    def _reused(self, row: RecordedRow, fact: facts.ResultReused) -> None:
        self._cancelled(row, fact)
        if fact.outputs:
            self.changes.keep_result(row.originator_id, datetime.fromisoformat(fact.expires_at))

    def _failed(self, row: RecordedRow, fact: facts.AttemptFailed) -> None:
        self._queues.release(row.originator_id)
        if fact.retry_at is None:
            self.changes.end(row.originator_id)
            return
        due_at = datetime.fromisoformat(fact.retry_at)
        self.changes.move(row.originator_id, _step(row, State.DUE, due_at=due_at))

    def _expired(self, row: RecordedRow, fact: facts.AttemptExpired) -> None:
        if fact.requeued:
            self._given_back(row, fact)
        else:
            self._queues.release(row.originator_id)
            self.changes.end(row.originator_id)

    def _given_back(self, row: RecordedRow, fact: AnyFact) -> None:
        known = self._before(row)
        self.changes.move(row.originator_id, _step(row, State.QUEUED))
        self._queues.add(known.job.lane, _runnable(row, known.place))

    def _due(self, row: RecordedRow, fact: facts.JobDue) -> None:
        known = self._before(row)
        self.changes.move(row.originator_id, _step(row, State.QUEUED, place=row.position))
        self._queues.add(known.job.lane, _runnable(row, row.position))

    def _reopened(self, row: RecordedRow, fact: facts.JobReopened) -> None:
        job = self._before(row).job
        if fact.priority is not None:
            job = replace(job, priority=fact.priority)
        step = _step(row, State.QUEUED, place=row.position)
        self.changes.enter(JobRow(job, step, place=row.position))
        self._may_wait(job, row.recorded_at)
        self._queues.add(job.lane, _runnable(row, row.position))

    def _cancelled(self, row: RecordedRow, fact: AnyFact) -> None:
        key = None
        if not self._queues.knows(row.originator_id):
            known = self._before(row)
            key = known.job.lane if known.step.state is State.QUEUED else None
        self._queues.cancelled(row.originator_id, key)
        self.changes.end(row.originator_id)

    def _reprioritised(self, row: RecordedRow, fact: facts.JobReprioritised) -> None:
        known = self._before(row)
        step, lane = known.step, known.job.lane
        self.changes.move(row.originator_id, replace(step, priority=fact.priority))
        if step.state is State.QUEUED:
            job = Runnable(row.originator_id, step.version, known.place, step.since)
            self._queues.reprioritised(row.originator_id, lane, job, fact.priority)

    def _result_expired(self, row: RecordedRow, fact: facts.JobResultExpired) -> None:
        self.changes.drop_result(row.originator_id)

    def _upload_received(self, row: RecordedRow, fact: uploads.UploadReceived) -> None:
        self.changes.keep_upload(row.originator_id, datetime.fromisoformat(fact.expires_at))

    def _upload_expired(self, row: RecordedRow, fact: uploads.UploadExpired) -> None:
        self.changes.drop_upload(row.originator_id)

    def _schedule_waits(self, row: RecordedRow, fact: Any) -> None:
        if fact.next_at is None:
            self._schedule_rests(row, fact)
        else:
            at = datetime.fromisoformat(fact.next_at)
            self.changes.set_timer(Timer.SCHEDULE, row.originator_id, at)

    def _schedule_rests(self, row: RecordedRow, fact: AnyFact) -> None:
        self.changes.drop_timer(Timer.SCHEDULE, row.originator_id)

    def _schedule_ends(self, row: RecordedRow, fact: AnyFact) -> None:
        self._schedule_rests(row, fact)
        self.changes.secrets_gone.add(row.originator_id)

    def _workflow_ends(self, row: RecordedRow, fact: AnyFact) -> None:
        self.changes.secrets_gone.add(row.originator_id)

    def _may_wait(self, job: WaitingJob, since: datetime) -> None:
        if job.queue_seconds_max is not None:
            until = since + timedelta(seconds=job.queue_seconds_max)
            self.changes.set_timer(Timer.WAIT, job.job_id, until)

    def _limit_set(self, row: RecordedRow, fact: limits.LimitSet) -> None:
        limit = set_limit(row, fact)
        self.changes.limits[row.originator_id] = limit
        self._queues.set_limit(limit.scope, limit.bound)

    def _limit_removed(self, row: RecordedRow, fact: limits.LimitRemoved) -> None:
        self.changes.limits[row.originator_id] = None
        self._queues.set_limit(_scope(row, fact), None)

    def _queue_paused(self, row: RecordedRow, fact: queue_facts.QueuePaused) -> None:
        self.changes.pauses[row.originator_id] = PausedQueue(row.tenant, fact.queue)
        self._queues.set_paused(row.tenant, fact.queue, True)

    def _queue_resumed(self, row: RecordedRow, fact: queue_facts.QueueResumed) -> None:
        self.changes.pauses[row.originator_id] = None
        self._queues.set_paused(row.tenant, fact.queue, False)

    def _before(self, row: RecordedRow) -> JobRow:
        """What is known of a job before this event, when its lane has to be known."""
        written = self.changes.rows.get(row.originator_id)
        if written is not None:
            return written
        known = self._known.get(row.originator_id)
        if known is None:
            raise PlaceUnknown(f"{row.topic} at position {row.position}")
        step = self.changes.steps.get(row.originator_id)
        if step is not None:
            known = replace(known)
            known.move(step)
        return known


def waiting_job(row: RecordedRow, fact: facts.JobSubmitted) -> WaitingJob:
    """What the dispatcher has to know of a job, from its first event."""
    return WaitingJob(
        job_id=row.originator_id,
        tenant=row.tenant,
        queue=fact.queue,
        priority=fact.priority,
        tool=fact.tool,
        timeout_seconds=fact.timeout_seconds,
        queue_seconds_max=fact.queue_seconds_max,
        limit_key=fact.limit_key or "",
        has_secrets=fact.secrets is not None,
    )


def set_limit(row: RecordedRow, fact: limits.LimitSet) -> SetLimit:
    """A limit as it was set."""
    return SetLimit(_scope(row, fact), Bound(fact.concurrency, fact.rate, fact.per_seconds))


def _scope(row: RecordedRow, fact: limits.LimitSet | limits.LimitRemoved) -> Scope:
    return Scope(row.tenant, limits.LimitScope(fact.scope), fact.subject)


def _step(
    row: RecordedRow,
    state: State,
    *,
    place: int | None = None,
    due_at: datetime | None = None,
    lease: int | None = None,
    worker: str | None = None,
) -> Step:
    return Step(
        state=state,
        version=row.originator_version,
        position=row.position,
        since=row.recorded_at,
        place=place,
        due_at=due_at,
        lease=lease,
        worker=worker,
    )


def _runnable(row: RecordedRow, place: int) -> Runnable:
    return Runnable(row.originator_id, row.originator_version, place, row.recorded_at)
