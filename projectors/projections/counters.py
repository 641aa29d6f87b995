"""Projects the counts that dashboards show."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from events.contracts import job as facts
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from projectors.projections.job import JOB_FACTS, JobRow
from projectors.read_models.counters import job_counters, outcome_counters
from projectors.rows import Sums

SUBMITTED, SUCCEEDED, FAILED, CANCELLED, DURATION_MS = range(5)
"""The summed columns of `outcome_counters`, in order."""

HOURS_KEPT_MAX: Final = 1_000


class JobCounters:
    """Keeps how many jobs are in each state now."""

    name: Final = "job_counters"
    version: Final = 1
    handles: Final[frozenset[type[AnyFact]]] = JOB_FACTS

    def __init__(self) -> None:
        self.rows = Sums(job_counters)

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """See `Projection.fold`."""
        if job is None or job.status == status_before:
            return
        if status_before is not None:
            self.rows.add((job.tenant, job.tool, status_before), -1)
        self.rows.add((job.tenant, job.tool, job.status), 1)


class OutcomeCounters:
    """Counts what happened to jobs in each hour."""

    name: Final = "outcome_counters"
    version: Final = 1
    handles: Final[frozenset[type[AnyFact]]] = frozenset(
        {
            facts.JobSubmitted,
            facts.AttemptSucceeded,
            facts.ResultReused,
            facts.AttemptFailed,
            facts.AttemptExpired,
            facts.JobWaitExpired,
            facts.JobCancelled,
        }
    )

    def __init__(self) -> None:
        self.rows = Sums(outcome_counters)

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """See `Projection.fold`."""
        if job is None:
            return
        counted = COUNTED[type(fact)](fact)
        if not counted:
            return
        at = fact.timestamp
        key = (job.tenant, job.tool, _hour(at.year, at.month, at.day, at.hour))
        for column, amount in counted:
            self.rows.add(key, amount, column)


Counted = tuple[tuple[int, int], ...]
"""Columns and what is added to them."""


def _submitted(fact: facts.JobSubmitted) -> Counted:
    return ((SUBMITTED, 1),)


def _succeeded(fact: facts.AttemptSucceeded) -> Counted:
    return ((SUCCEEDED, 1), (DURATION_MS, fact.duration_ms))


def _reused(fact: facts.ResultReused) -> Counted:
    return ((SUCCEEDED, 1),)


def _failed(fact: facts.AttemptFailed) -> Counted:
    return () if fact.retry_at else ((FAILED, 1),)


def _expired(fact: facts.AttemptExpired) -> Counted:
    return () if fact.requeued else ((FAILED, 1),)


def _wait_expired(fact: facts.JobWaitExpired) -> Counted:
    return ((FAILED, 1),)


def _cancelled(fact: facts.JobCancelled) -> Counted:
    return ((CANCELLED, 1),)


COUNTED: Final[dict[type[AnyFact], Callable[[Any], Counted]]] = {
    facts.JobSubmitted: _submitted,
    facts.AttemptSucceeded: _succeeded,
    facts.ResultReused: _reused,
    facts.AttemptFailed: _failed,
    facts.AttemptExpired: _expired,
    facts.JobWaitExpired: _wait_expired,
    facts.JobCancelled: _cancelled,
}


@lru_cache(HOURS_KEPT_MAX)
def _hour(year: int, month: int, day: int, hour: int) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)
