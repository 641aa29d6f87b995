"""A job as its facts make it: the row that lists show and that counters are told from.

It follows the aggregate (`events.domain.job`) fact by fact; a test holds the two together. Times
are the facts' own, so a rebuild makes equal rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from events.contracts import job as facts
from events.contracts.fact import AnyFact
from events.contracts.values import JobStatus

WORKER_LOST: Final = "WORKER_LOST"
QUEUE_TIMEOUT: Final = "QUEUE_TIMEOUT"
NO_FILES: Final = "[]"


@dataclass(slots=True)
class JobRow:
    """One row of `job_summary`; the fields are its columns, in order."""

    job_id: UUID
    tenant: str
    owner: str
    tool: str
    tool_version: str
    queue: str
    priority: int
    status: str
    attempt: int
    attempts_max: int
    lease: int
    worker: str | None
    options: str
    inputs: str
    outputs: str
    labels: str | None
    label_tokens: list[str] | None
    error_code: str | None
    error_message: str | None
    correlation_id: str
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None
    expires_at: datetime | None
    result_expired: bool
    duration_ms: int | None
    timeout_seconds: float
    version: int
    position: int
    queue_seconds_max: float | None
    schedule_id: UUID | None
    reused_from: UUID | None
    workflow_id: UUID | None
    step: str | None
    notes: str | None


CHANGING: Final = (
    "priority",
    "status",
    "attempt",
    "lease",
    "worker",
    "outputs",
    "error_code",
    "error_message",
    "queued_at",
    "started_at",
    "finished_at",
    "due_at",
    "expires_at",
    "result_expired",
    "duration_ms",
    "version",
    "position",
    "reused_from",
    "notes",
)
"""What can change after the submission."""


def submitted(fact: facts.JobSubmitted, position: int) -> JobRow:
    """The row that a submission begins."""
    return JobRow(
        job_id=fact.originator_id,
        tenant=fact.tenant,
        owner=fact.owner,
        tool=fact.tool,
        tool_version=fact.tool_version,
        queue=fact.queue,
        priority=fact.priority,
        status=JobStatus.SCHEDULED if fact.run_at else JobStatus.QUEUED,
        attempt=0,
        attempts_max=fact.attempts_max,
        lease=0,
        worker=None,
        options=fact.options,
        inputs=_as_json(fact.inputs),
        outputs=NO_FILES,
        labels=fact.labels,
        label_tokens=fact.label_tokens or None,
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
        version=fact.originator_version,
        position=position,
        queue_seconds_max=fact.queue_seconds_max,
        schedule_id=UUID(fact.schedule) if fact.schedule else None,
        reused_from=None,
        workflow_id=UUID(fact.workflow) if fact.workflow else None,
        step=fact.step,
        notes=None,
    )


def _started(job: JobRow, fact: facts.AttemptStarted) -> None:
    job.status = JobStatus.RUNNING
    job.lease = fact.lease
    job.attempt = fact.attempt
    job.worker = fact.worker
    job.started_at = fact.timestamp
    job.due_at = None


def _succeeded(job: JobRow, fact: facts.AttemptSucceeded) -> None:
    job.status = JobStatus.SUCCEEDED
    job.outputs = _as_json(fact.outputs)
    job.finished_at = fact.timestamp
    job.expires_at = _time(fact.expires_at)
    job.duration_ms = fact.duration_ms
    job.error_code = job.error_message = None
    job.notes = fact.notes


def _reused(job: JobRow, fact: facts.ResultReused) -> None:
    job.status = JobStatus.SUCCEEDED
    job.outputs = _as_json(fact.outputs)
    job.finished_at = fact.timestamp
    job.expires_at = _time(fact.expires_at)
    job.reused_from = UUID(fact.source)
    job.notes = fact.notes


def _failed(job: JobRow, fact: facts.AttemptFailed) -> None:
    job.due_at = _time(fact.retry_at)
    job.duration_ms = fact.duration_ms
    job.error_code = fact.code
    job.error_message = fact.message
    if fact.retry_at:
        job.status = JobStatus.RETRYING
    else:
        job.status = JobStatus.FAILED
        job.finished_at = fact.timestamp


def _expired(job: JobRow, fact: facts.AttemptExpired) -> None:
    if fact.requeued:
        _queue(job, fact.timestamp)
        return
    job.status = JobStatus.FAILED
    job.finished_at = fact.timestamp
    job.error_code = WORKER_LOST
    job.error_message = None


def _handed_back(job: JobRow, fact: facts.AttemptHandedBack) -> None:
    job.attempt -= 1
    _queue(job, fact.timestamp)


def _due(job: JobRow, fact: facts.JobDue) -> None:
    job.due_at = None
    _queue(job, fact.timestamp)


def _wait_expired(job: JobRow, fact: facts.JobWaitExpired) -> None:
    job.status = JobStatus.FAILED
    job.finished_at = fact.timestamp
    job.error_code = QUEUE_TIMEOUT
    job.error_message = None


def _cancelled(job: JobRow, fact: facts.JobCancelled) -> None:
    job.status = JobStatus.CANCELLED
    job.finished_at = fact.timestamp
    job.due_at = None


def _reopened(job: JobRow, fact: facts.JobReopened) -> None:
    job.attempt = 0
    job.finished_at = job.duration_ms = job.error_code = job.error_message = None
    _queue(job, fact.timestamp)


def _outcome_refused(job: JobRow, fact: facts.OutcomeRefused) -> None:
    """It changed nothing; that is what it says."""


def _result_expired(job: JobRow, fact: facts.JobResultExpired) -> None:
    job.result_expired = True


def _reprioritised(job: JobRow, fact: facts.JobReprioritised) -> None:
    job.priority = fact.priority


Fold = Callable[[JobRow, Any], None]

FOLDS: Final[dict[type[AnyFact], Fold]] = {
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
    facts.OutcomeRefused: _outcome_refused,
    facts.JobResultExpired: _result_expired,
    facts.JobReprioritised: _reprioritised,
}
"""What each fact after the submission does to the row."""

JOB_FACTS: Final[frozenset[type[AnyFact]]] = frozenset({facts.JobSubmitted, *FOLDS})


def _queue(job: JobRow, at: datetime) -> None:
    job.status = JobStatus.QUEUED
    job.queued_at = at


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _as_json(files: list[dict[str, Any]]) -> str:
    return orjson.dumps(files).decode() if files else NO_FILES
