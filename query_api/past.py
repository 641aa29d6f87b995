"""A job as it was: folded from the part of its history that had happened by then.

The fold is the read model's, told again for one job: at the newest version both give the same row,
which a test holds them to. It needs no projection, so the past is never behind.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from events.contracts import job as facts
from events.contracts.envelope import RecordedEvent
from events.contracts.fact import AnyFact
from events.contracts.values import JobStatus
from query_api.errors import PastNotFound
from query_api.queries.jobs import JobRow

VERSION_DIGITS_MAX: Final = 18
WORKER_LOST: Final = "WORKER_LOST"
QUEUE_TIMEOUT: Final = "QUEUE_TIMEOUT"

Changes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """A version of a job, or a time by the database's clock."""

    version: int | None = None
    time: datetime | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `7` or `2026-11-23T12:00:00Z`; raises ValueError."""
        if text.isascii() and text.isdigit() and len(text) <= VERSION_DIGITS_MAX:
            return cls(version=int(text))
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise ValueError("a time needs its offset")
        return cls(time=time)

    def includes(self, event: RecordedEvent) -> bool:
        """Whether the event had happened by then."""
        if self.version is not None:
            return event.version <= self.version
        return self.time is None or event.recorded_at <= self.time


def job_at(history: Sequence[RecordedEvent], moment: Moment) -> JobRow:
    """The job at that moment; raises PastNotFound."""
    if moment.version is not None and moment.version > len(history):
        raise PastNotFound
    row = folded(event for event in history if moment.includes(event))
    if row is None:
        raise PastNotFound
    return row


def folded(events: Iterable[RecordedEvent]) -> JobRow | None:
    """The row that these events add up to."""
    row: JobRow | None = None
    for event in events:
        if isinstance(event.fact, facts.JobSubmitted):
            row = _submitted(event, event.fact)
        elif row is not None:
            changes = _CHANGES[type(event.fact)](event.fact, row)
            row = replace(row, version=event.version, position=event.position, **changes)
    return row


def _submitted(event: RecordedEvent, fact: facts.JobSubmitted) -> JobRow:
    return JobRow(
        job_id=event.originator_id,
        tenant=fact.tenant,
        owner=fact.owner,
        tool=fact.tool,
        tool_version=fact.tool_version,
        queue=fact.queue,
        priority=fact.priority,
        status=JobStatus.SCHEDULED if fact.run_at else JobStatus.QUEUED,
        attempt=0,
        attempts_max=fact.attempts_max,
        worker=None,
        options=fact.options,
        inputs=fact.inputs,
        outputs=[],
        labels=fact.labels,
        error_code=None,
        error_message=None,
        correlation_id=fact.correlation_id,
        created_at=fact.timestamp,
        queued_at=None if fact.run_at else fact.timestamp,
        started_at=None,
        finished_at=None,
        due_at=_time(fact.run_at),
        expires_at=None,
        result_expired=False,
        duration_ms=None,
        timeout_seconds=fact.timeout_seconds,
        version=event.version,
        position=event.position,
        queue_seconds_max=fact.queue_seconds_max,
        schedule_id=UUID(fact.schedule) if fact.schedule else None,
        workflow_id=UUID(fact.workflow) if fact.workflow else None,
        step=fact.step,
    )


def _started(fact: facts.AttemptStarted, row: JobRow) -> Changes:
    return {
        "status": JobStatus.RUNNING,
        "attempt": fact.attempt,
        "worker": fact.worker,
        "started_at": fact.timestamp,
        "due_at": None,
    }


def _succeeded(fact: facts.AttemptSucceeded, row: JobRow) -> Changes:
    return {
        "status": JobStatus.SUCCEEDED,
        "outputs": fact.outputs,
        "expires_at": _time(fact.expires_at),
        "finished_at": fact.timestamp,
        "duration_ms": fact.duration_ms,
        "error_code": None,
        "error_message": None,
        "notes": fact.notes,
    }


def _reused(fact: facts.ResultReused, row: JobRow) -> Changes:
    return {
        "status": JobStatus.SUCCEEDED,
        "outputs": fact.outputs,
        "expires_at": _time(fact.expires_at),
        "finished_at": fact.timestamp,
        "reused_from": UUID(fact.source),
        "notes": fact.notes,
    }


def _failed(fact: facts.AttemptFailed, row: JobRow) -> Changes:
    return {
        "status": JobStatus.RETRYING if fact.retry_at else JobStatus.FAILED,
        "due_at": _time(fact.retry_at),
        "finished_at": None if fact.retry_at else fact.timestamp,
        "duration_ms": fact.duration_ms,
        "error_code": fact.code,
        "error_message": fact.message,
    }


def _expired(fact: facts.AttemptExpired, row: JobRow) -> Changes:
    if fact.requeued:
        return {"status": JobStatus.QUEUED, "queued_at": fact.timestamp}
    return {
        "status": JobStatus.FAILED,
        "finished_at": fact.timestamp,
        "error_code": WORKER_LOST,
        "error_message": None,
    }


def _handed_back(fact: facts.AttemptHandedBack, row: JobRow) -> Changes:
    return {
        "status": JobStatus.QUEUED,
        "queued_at": fact.timestamp,
        "attempt": row.attempt - 1,
    }


def _due(fact: facts.JobDue, row: JobRow) -> Changes:
    return {"status": JobStatus.QUEUED, "queued_at": fact.timestamp, "due_at": None}


def _wait_expired(fact: facts.JobWaitExpired, row: JobRow) -> Changes:
    return {
        "status": JobStatus.FAILED,
        "finished_at": fact.timestamp,
        "error_code": QUEUE_TIMEOUT,
        "error_message": None,
    }


def _cancelled(fact: facts.JobCancelled, row: JobRow) -> Changes:
    return {"status": JobStatus.CANCELLED, "finished_at": fact.timestamp, "due_at": None}


def _reopened(fact: facts.JobReopened, row: JobRow) -> Changes:
    return {
        "status": JobStatus.QUEUED,
        "queued_at": fact.timestamp,
        "attempt": 0,
        "finished_at": None,
        "duration_ms": None,
        "error_code": None,
        "error_message": None,
    }


def _unchanged(fact: AnyFact, row: JobRow) -> Changes:
    return {}


def _result_expired(fact: facts.JobResultExpired, row: JobRow) -> Changes:
    return {"result_expired": True}


def _reprioritised(fact: facts.JobReprioritised, row: JobRow) -> Changes:
    return {"priority": fact.priority}


_CHANGES: Final[dict[type[AnyFact], Callable[[Any, JobRow], Changes]]] = {
    facts.AttemptStarted: _started,
    facts.AttemptSucceeded: _succeeded,
    facts.ResultReused: _reused,
    facts.AttemptFailed: _failed,
    facts.AttemptExpired: _expired,
    facts.AttemptHandedBack: _handed_back,
    facts.JobDue: _due,
    facts.JobWaitExpired: _wait_expired,
    facts.JobCancelled: _cancelled,
    facts.JobReopened: _reopened,
    facts.OutcomeRefused: _unchanged,
    facts.JobResultExpired: _result_expired,
    facts.JobReprioritised: _reprioritised,
}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
