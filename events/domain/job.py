"""The job: what may happen to it, and what has.

It promises one terminal outcome at a time: an outcome counts only under the lease of the latest
claim, and a claim needs a queued job. Everything here is decided from the job's own facts;
nothing is looked up.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Self
from uuid import UUID

from events.contracts import job as facts
from events.contracts.fact import AnyFact
from events.contracts.values import FileRef, JobStatus, Origin, SealedText
from events.domain.aggregate import Aggregate
from events.domain.errors import (
    JobIsFinal,
    JobIsNotFinal,
    JobMayWait,
    JobNotClaimable,
    JobNotDue,
    JobNotWaiting,
    JobOfWorkflow,
    ResultNotExpirable,
    StaleLease,
)
from events.domain.job_request import Failure, JobRequest
from events.domain.retry_policy import RetryPolicy

__all__ = [
    "QUEUE_TIMEOUT",
    "WAITING",
    "WORKER_LOST",
    "Failure",
    "Job",
    "JobRequest",
]

WAITING_FOR_TIME = frozenset({JobStatus.SCHEDULED, JobStatus.RETRYING})
WAITING = WAITING_FOR_TIME | {JobStatus.QUEUED}


class Job(Aggregate):
    """One request to run one tool, from submission to its end."""

    TOPIC = "magictoolbox.job"
    FOLDS: ClassVar[dict[type[AnyFact], str]] = {
        facts.JobSubmitted: "_submitted",
        facts.AttemptStarted: "_started",
        facts.AttemptSucceeded: "_succeeded",
        facts.ResultReused: "_succeeded",
        facts.AttemptFailed: "_failed",
        facts.AttemptExpired: "_expired",
        facts.AttemptHandedBack: "_handed_back",
        facts.JobDue: "_due",
        facts.JobWaitExpired: "_wait_expired",
        facts.JobCancelled: "_cancelled",
        facts.JobReopened: "_reopened",
        facts.OutcomeRefused: "_outcome_refused",
        facts.JobResultExpired: "_result_expired",
        facts.JobReprioritised: "_reprioritised",
    }

    class Event(Aggregate.Event):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.job.event"

    class Created(Event, Aggregate.Created):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.job.created"

    # -- deciding -------------------------------------------------------------------------------

    @classmethod
    def submit(cls, job_id: UUID, request: JobRequest, origin: Origin) -> Self:
        """Accept a request; scheduled if it names a time in the future, else queued."""
        later = request.run_at is not None and request.run_at > origin.at
        return cls._create(
            facts.JobSubmitted,
            id=job_id,
            run_at=request.run_at.isoformat() if request.run_at and later else None,
            **request.fields(),
            **origin.fields(),
        )

    def start_attempt(
        self, worker: str, isolation: str, origin: Origin, tool_version: str | None = None
    ) -> int:
        """Claim the job for a worker; returns the lease under which to report.

        `tool_version` is the one that the worker has; None if it has none, or the job's own.
        """
        if self.status is not JobStatus.QUEUED:
            raise JobNotClaimable(status=self.status)
        self.trigger_event(
            facts.AttemptStarted,
            lease=self.lease + 1,
            attempt=self.attempt + 1,
            worker=worker,
            isolation=isolation,
            tool_version=None if tool_version == self.tool_version else tool_version,
            **origin.fields(),
        )
        return self.lease

    def succeed(
        self,
        lease: int,
        outputs: Sequence[FileRef],
        duration_ms: int,
        resources: Mapping[str, float],
        origin: Origin,
        notes: SealedText | None = None,
    ) -> None:
        """Record the result of the attempt under this lease."""
        self._must_hold(lease)
        expires_at = origin.at + timedelta(seconds=self.retention_seconds)
        self.trigger_event(
            facts.AttemptSucceeded,
            lease=lease,
            outputs=[file.as_json() for file in outputs],
            duration_ms=duration_ms,
            expires_at=expires_at.isoformat(),
            resources=dict(resources),
            notes=notes,
            **origin.fields(),
        )

    def reuse(
        self,
        source: UUID,
        outputs: Sequence[FileRef],
        origin: Origin,
        notes: SealedText | None = None,
    ) -> None:
        """Succeed without a run, by copies of what another job made of the same request."""
        if self.status is not JobStatus.QUEUED or self.lease:
            raise JobNotClaimable(status=self.status)
        expires_at = origin.at + timedelta(seconds=self.retention_seconds)
        self.trigger_event(
            facts.ResultReused,
            source=str(source),
            outputs=[file.as_json() for file in outputs],
            expires_at=expires_at.isoformat(),
            notes=notes,
            **origin.fields(),
        )

    def fail(
        self,
        lease: int,
        failure: Failure,
        duration_ms: int,
        resources: Mapping[str, float],
        jitter: float,
        origin: Origin,
    ) -> None:
        """Record that the attempt under this lease failed; decides whether there is another."""
        self._must_hold(lease)
        self.trigger_event(
            facts.AttemptFailed,
            lease=lease,
            code=failure.code,
            message=failure.message,
            permanent=failure.permanent,
            retry_at=None if failure.permanent else self._retry_at(jitter, origin.at),
            duration_ms=duration_ms,
            resources=dict(resources),
            **origin.fields(),
        )

    def expire_attempt(self, lease: int, origin: Origin) -> None:
        """End the attempt of a worker that fell silent."""
        self._must_hold(lease)
        self.trigger_event(
            facts.AttemptExpired,
            lease=lease,
            requeued=self.attempt < self.attempts_max and self._may_begin(origin.at),
            **origin.fields(),
        )

    def hand_back(self, lease: int, origin: Origin) -> None:
        """Return the job unfinished to the queue; the attempt does not count."""
        self._must_hold(lease)
        self.trigger_event(facts.AttemptHandedBack, lease=lease, **origin.fields())

    def become_due(self, origin: Origin) -> None:
        """Queue a scheduled or retrying job; its time has come."""
        if self.status not in WAITING_FOR_TIME:
            raise JobNotDue(status=self.status)
        self.trigger_event(facts.JobDue, **origin.fields())

    def expire_wait(self, origin: Origin) -> None:
        """End a job that nobody started in time."""
        until = self.wait_until if self.status is JobStatus.QUEUED else None
        if until is None or origin.at < until:
            raise JobMayWait(status=self.status)
        self.trigger_event(
            facts.JobWaitExpired, waited_seconds=self.queue_seconds_max, **origin.fields()
        )

    def cancel(self, origin: Origin) -> None:
        """Call the job off, whatever it is doing."""
        if self.status.is_final:
            raise JobIsFinal(f"The job has already {_ended(self.status)}.", status=self.status)
        self.trigger_event(facts.JobCancelled, **origin.fields())

    def reopen(self, origin: Origin) -> None:
        """Try a failed or cancelled job again, with fresh attempts; never one of a workflow."""
        if self.status is JobStatus.SUCCEEDED:
            raise JobIsFinal("The job has already succeeded.", status=self.status)
        if not self.status.is_final:
            raise JobIsNotFinal(status=self.status)
        if self.workflow is not None:
            raise JobOfWorkflow(workflow_id=str(self.workflow), status=self.status)
        changed = self.priority if self.priority != self.submitted_priority else None
        self.trigger_event(facts.JobReopened, priority=changed, **origin.fields())

    def reprioritise(self, priority: int, origin: Origin) -> None:
        """Let it go before or after others, as long as it has not started."""
        if self.status.is_final:
            raise JobIsFinal(f"The job has already {_ended(self.status)}.", status=self.status)
        if self.status not in WAITING:
            raise JobNotWaiting(status=self.status)
        self.trigger_event(facts.JobReprioritised, priority=priority, **origin.fields())

    def refuse_outcome(self, lease: int, outcome: str, worker: str, origin: Origin) -> None:
        """Put on record that a late outcome came and changed nothing."""
        self.trigger_event(
            facts.OutcomeRefused, lease=lease, outcome=outcome, worker=worker, **origin.fields()
        )

    def expire_result(self, origin: Origin) -> list[str]:
        """Give up the outputs after their retention; returns the blobs to delete."""
        if self.status is not JobStatus.SUCCEEDED or self.result_expired:
            raise ResultNotExpirable(status=self.status)
        if self.expires_at is None or self.expires_at > origin.at:
            raise ResultNotExpirable(status=self.status)
        blob_keys = [file.blob_key for file in self.outputs]
        self.trigger_event(facts.JobResultExpired, blob_keys=blob_keys, **origin.fields())
        return blob_keys

    def holds(self, lease: int) -> bool:
        """Whether an outcome under this lease would count."""
        return self.status is JobStatus.RUNNING and lease == self.lease

    def _must_hold(self, lease: int) -> None:
        if not self.holds(lease):
            raise StaleLease(status=self.status, lease=self.lease, reported_lease=lease)

    def _retry_at(self, jitter: float, now: datetime) -> str | None:
        began = self.first_began or now
        at = self._patience.retry_at(self.attempt, jitter, began, now)
        return None if at is None else at.isoformat()

    def _may_begin(self, now: datetime) -> bool:
        return self._patience.allows(self.first_began or now, now)

    @property
    def _patience(self) -> RetryPolicy:
        return RetryPolicy.of(self.attempts_max, self.retry)

    # -- folding --------------------------------------------------------------------------------

    def _submitted(self, fact: facts.JobSubmitted) -> None:
        self.tenant = fact.tenant
        self.owner = fact.owner
        self.correlation_id = fact.correlation_id
        self.tool = fact.tool
        self.tool_version = self.version_run = fact.tool_version
        self.queue = fact.queue
        self.priority = self.submitted_priority = fact.priority
        self.options = SealedText(fact.options)
        self.secrets = None if fact.secrets is None else SealedText(fact.secrets)
        self.inputs = [FileRef.from_json(file) for file in fact.inputs]
        self.label_tokens = fact.label_tokens
        self.attempts_max = fact.attempts_max
        self.timeout_seconds = fact.timeout_seconds
        self.retention_seconds = fact.retention_seconds
        self.queue_seconds_max = fact.queue_seconds_max
        self.retry = fact.retry
        self.reservation = None if fact.reservation is None else UUID(fact.reservation)
        self.workflow = None if fact.workflow is None else UUID(fact.workflow)
        self.status = JobStatus.SCHEDULED if fact.run_at else JobStatus.QUEUED
        self.due_at = datetime.fromisoformat(fact.run_at) if fact.run_at else None
        self.wait_until: datetime | None = None
        if not fact.run_at:
            self._wait_from(fact.timestamp)
        self.first_began: datetime | None = None
        self.lease = 0
        self.attempt = 0
        self.worker: str | None = None
        self.outputs: list[FileRef] = []
        self.notes: SealedText | None = None
        self.expires_at: datetime | None = None
        self.result_expired = False
        self.error_code: str | None = None
        self.error_message: SealedText | None = None

    def _started(self, fact: facts.AttemptStarted) -> None:
        self.status = JobStatus.RUNNING
        self.lease = fact.lease
        self.attempt = fact.attempt
        self.worker = fact.worker
        self.version_run = fact.tool_version or self.tool_version
        self.due_at = None
        self.wait_until = None
        self.first_began = self.first_began or fact.timestamp

    def _succeeded(self, fact: facts.AttemptSucceeded | facts.ResultReused) -> None:
        self.status = JobStatus.SUCCEEDED
        self.outputs = [FileRef.from_json(file) for file in fact.outputs]
        self.notes = None if fact.notes is None else SealedText(fact.notes)
        self.expires_at = datetime.fromisoformat(fact.expires_at)
        self.error_code = self.error_message = None

    def _failed(self, fact: facts.AttemptFailed) -> None:
        self.status = JobStatus.RETRYING if fact.retry_at else JobStatus.FAILED
        self.due_at = datetime.fromisoformat(fact.retry_at) if fact.retry_at else None
        self.error_code = fact.code
        self.error_message = SealedText(fact.message)

    def _expired(self, fact: facts.AttemptExpired) -> None:
        self.status = JobStatus.QUEUED if fact.requeued else JobStatus.FAILED
        if not fact.requeued:
            self.error_code = WORKER_LOST
            self.error_message = None

    def _handed_back(self, fact: facts.AttemptHandedBack) -> None:
        self.status = JobStatus.QUEUED
        self.attempt -= 1

    def _due(self, fact: facts.JobDue) -> None:
        self.status = JobStatus.QUEUED
        self.due_at = None
        if self.first_began is None:
            self._wait_from(fact.timestamp)

    def _wait_expired(self, fact: facts.JobWaitExpired) -> None:
        self.status = JobStatus.FAILED
        self.error_code = QUEUE_TIMEOUT
        self.error_message = None

    def _cancelled(self, fact: facts.JobCancelled) -> None:
        self.status = JobStatus.CANCELLED
        self.due_at = None

    def _reopened(self, fact: facts.JobReopened) -> None:
        self.status = JobStatus.QUEUED
        self.first_began = None
        self._wait_from(fact.timestamp)
        self.attempt = 0
        self.error_code = self.error_message = None

    def _outcome_refused(self, fact: facts.OutcomeRefused) -> None:
        """It changed nothing; that is what it says."""

    def _result_expired(self, fact: facts.JobResultExpired) -> None:
        self.result_expired = True

    def _wait_from(self, since: datetime) -> None:
        if self.queue_seconds_max is not None:
            self.wait_until = since + timedelta(seconds=self.queue_seconds_max)

    def _reprioritised(self, fact: facts.JobReprioritised) -> None:
        self.priority = fact.priority


WORKER_LOST = "WORKER_LOST"
"""Error code of a job whose every attempt ended with a silent worker."""


QUEUE_TIMEOUT = "QUEUE_TIMEOUT"
"""Error code of a job that nobody started within the time that it was allowed to wait."""


def _ended(status: JobStatus) -> str:
    return "been cancelled" if status is JobStatus.CANCELLED else status.value
