"""Projects queues and limits as operators see them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from events.contracts import limit as limit_facts
from events.contracts import queue as queue_facts
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from projectors.projections.job import JOB_FACTS, JobRow
from projectors.read_models.queues import limits, queue_counters, queue_states
from projectors.rows import KeyedRows, RowsChanged, Sums


@dataclass(slots=True)
class QueueRow:
    """One row of `queue_states`; the fields are its columns, in order."""

    queue_id: UUID
    tenant: str
    queue: str
    paused: bool
    position: int


@dataclass(slots=True)
class LimitRow:
    """One row of `limits`; the fields are its columns, in order."""

    limit_id: UUID
    tenant: str
    scope: str
    subject: str
    subject_text: str | None
    concurrency: int | None
    rate: int | None
    per_seconds: float | None
    position: int


class QueueCounters:
    """Keeps how many jobs of each queue are in each state now."""

    name: Final = "queue_counters"
    version: Final = 1
    handles: Final[frozenset[type[AnyFact]]] = JOB_FACTS

    def __init__(self) -> None:
        self.rows = Sums(queue_counters)

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """See `Projection.fold`."""
        if job is None or job.status == status_before:
            return
        if status_before is not None:
            self.rows.add((job.tenant, job.queue, status_before), -1)
        self.rows.add((job.tenant, job.queue, job.status), 1)


class QueueStates:
    """Keeps which queues are paused."""

    name: Final = "queue_states"
    version: Final = 1
    handles: Final[frozenset[type[AnyFact]]] = frozenset(
        {queue_facts.QueueIntroduced, queue_facts.QueuePaused, queue_facts.QueueResumed}
    )

    def __init__(self) -> None:
        self.rows: KeyedRows[QueueRow] = KeyedRows(
            queue_states, "queue_id", QueueRow, ("paused", "position")
        )

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """See `Projection.fold`."""
        key = fact.originator_id
        if isinstance(fact, queue_facts.QueueIntroduced):
            begun = QueueRow(key, fact.tenant, fact.queue, False, row.position)
            self.rows.add(key, begun)
            return
        found = self.rows.get(key)
        if found is None:
            raise RowsChanged(f"queue_states: no row before position {row.position}")
        found.paused = isinstance(fact, queue_facts.QueuePaused)
        found.position = row.position
        self.rows.change(key, found)


class Limits:
    """Keeps what bounds there are."""

    name: Final = "limits"
    version: Final = 1

    def __init__(self) -> None:
        self.rows: KeyedRows[LimitRow] = KeyedRows(
            limits, "limit_id", LimitRow, ("concurrency", "rate", "per_seconds", "position")
        )

    @property
    def handles(self) -> frozenset[type[AnyFact]]:
        """See `Projection.handles`."""
        return frozenset({limit_facts.LimitIntroduced, *LIMIT_FOLDS})

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """See `Projection.fold`."""
        key = fact.originator_id
        if isinstance(fact, limit_facts.LimitIntroduced):
            said = (fact.tenant, fact.scope, fact.subject, fact.subject_text)
            self.rows.add(key, LimitRow(key, *said, None, None, None, row.position))
            return
        found = self.rows.get(key)
        if found is None:
            raise RowsChanged(f"limits: no row before position {row.position}")
        LIMIT_FOLDS[type(fact)](found, fact)
        found.position = row.position
        self.rows.change(key, found)


def _set(limit: LimitRow, fact: limit_facts.LimitSet) -> None:
    limit.concurrency = fact.concurrency
    limit.rate = fact.rate
    limit.per_seconds = fact.per_seconds


def _removed(limit: LimitRow, fact: limit_facts.LimitRemoved) -> None:
    limit.concurrency = limit.rate = limit.per_seconds = None


LIMIT_FOLDS: Final[dict[type[AnyFact], Callable[[LimitRow, Any], None]]] = {
    limit_facts.LimitSet: _set,
    limit_facts.LimitRemoved: _removed,
}
