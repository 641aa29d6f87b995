"""Folds the log into work: what each event changes in the tables and in the queues.

A pure function of the log: folding the same events again from the same tables gives the same
tables. Events that say nothing about work are not even decoded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from events.contracts import job as facts
from events.contracts import upload as uploads
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from events.store.codec import Codec
from processors.changes import Changes, JobRow, State, Step, Timer, WaitingJob
from processors.queues import Queues, Runnable

GOES_ON: Final = frozenset(
    fact.TOPIC for fact in (facts.JobDue, facts.AttemptExpired, facts.AttemptHandedBack)
)
"""Events that may queue a job without saying in which queue."""
COMES_BACK: Final = facts.JobReopened.TOPIC
"""The same, of a job whose row is gone."""


class PlaceUnknown(Exception):
    """An event queues a job that the fold was told nothing about."""


class Folding:
    """Folds rows of the log one after the other; `changes` is what they add up to."""

    def __init__(self, queues: Queues, codec: Codec | None = None) -> None:
        self.changes = Changes()
        self._queues = queues
        self._codec = codec or Codec()
        self._known: Mapping[UUID, JobRow] = {}
        self._folds: dict[str, Callable[[RecordedRow, Any], None]] = {
            facts.JobSubmitted.TOPIC: self._submitted,
            facts.AttemptStarted.TOPIC: self._started,
            facts.AttemptSucceeded.TOPIC: self._succeeded,
            facts.AttemptFailed.TOPIC: self._failed,
            facts.AttemptExpired.TOPIC: self._expired,
            facts.AttemptHandedBack.TOPIC: self._given_back,
            facts.JobDue.TOPIC: self._due,
            facts.JobReopened.TOPIC: self._reopened,
            facts.JobCancelled.TOPIC: self._cancelled,
            facts.JobWaitExpired.TOPIC: self._cancelled,
            facts.JobResultExpired.TOPIC: self._result_expired,
            uploads.UploadReceived.TOPIC: self._upload_received,
            uploads.UploadExpired.TOPIC: self._upload_expired,
        }

    def to_look_up(self, rows: Sequence[RecordedRow]) -> list[UUID]:
        """The jobs that `fold` has to be told about before it gets these rows."""
        wanted = {row.originator_id for row in rows if row.topic in GOES_ON}
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
            self._queues.add(job.queue, _runnable(row, row.position))

    def _started(self, row: RecordedRow, fact: facts.AttemptStarted) -> None:
        self._queues.remove(row.originator_id)
        self.changes.move(
            row.originator_id,
            _step(row, State.RUNNING, lease=fact.lease, worker=fact.worker),
        )

    def _succeeded(self, row: RecordedRow, fact: facts.AttemptSucceeded) -> None:
        self.changes.end(row.originator_id)
        if fact.outputs:
            expires_at = datetime.fromisoformat(fact.expires_at)
            self.changes.keep_result(row.originator_id, expires_at)

    def _failed(self, row: RecordedRow, fact: facts.AttemptFailed) -> None:
        if fact.retry_at is None:
            self.changes.end(row.originator_id)
            return
        due_at = datetime.fromisoformat(fact.retry_at)
        self.changes.move(row.originator_id, _step(row, State.DUE, due_at=due_at))

    def _expired(self, row: RecordedRow, fact: facts.AttemptExpired) -> None:
        if fact.requeued:
            self._given_back(row, fact)
        else:
            self.changes.end(row.originator_id)

    def _given_back(self, row: RecordedRow, fact: AnyFact) -> None:
        known = self._before(row)
        earlier = self.changes.steps.get(row.originator_id)
        place = known.place if earlier is None or earlier.place is None else earlier.place
        self.changes.move(row.originator_id, _step(row, State.QUEUED))
        self._queues.add_first(known.job.queue, _runnable(row, place))

    def _due(self, row: RecordedRow, fact: facts.JobDue) -> None:
        known = self._before(row)
        self.changes.move(row.originator_id, _step(row, State.QUEUED, place=row.position))
        self._queues.add(known.job.queue, _runnable(row, row.position))

    def _reopened(self, row: RecordedRow, fact: facts.JobReopened) -> None:
        known = self._before(row)
        step = _step(row, State.QUEUED, place=row.position)
        self.changes.enter(JobRow(known.job, step, place=row.position))
        self._may_wait(known.job, row.recorded_at)
        self._queues.add(known.job.queue, _runnable(row, row.position))

    def _cancelled(self, row: RecordedRow, fact: AnyFact) -> None:
        self._queues.remove(row.originator_id)
        self.changes.end(row.originator_id)

    def _result_expired(self, row: RecordedRow, fact: facts.JobResultExpired) -> None:
        self.changes.drop_result(row.originator_id)

    def _upload_received(self, row: RecordedRow, fact: uploads.UploadReceived) -> None:
        self.changes.keep_upload(row.originator_id, datetime.fromisoformat(fact.expires_at))

    def _upload_expired(self, row: RecordedRow, fact: uploads.UploadExpired) -> None:
        self.changes.drop_upload(row.originator_id)

    def _may_wait(self, job: WaitingJob, since: datetime) -> None:
        if job.queue_seconds_max is not None:
            until = since + timedelta(seconds=job.queue_seconds_max)
            self.changes.set_timer(Timer.WAIT, job.job_id, until)

    def _before(self, row: RecordedRow) -> JobRow:
        """What is known of a job that comes back."""
        found = self.changes.rows.get(row.originator_id) or self._known.get(row.originator_id)
        if found is None:
            raise PlaceUnknown(f"{row.topic} at position {row.position}")
        return found


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
    )


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
