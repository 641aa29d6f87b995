"""Projects jobs as they stand now."""

from typing import Final
from uuid import UUID

from events.contracts.envelope import RecordedEvent
from events.contracts.fact import AnyFact
from events.contracts.job import JobSubmitted
from events.contracts.values import FINAL_STATUSES
from projectors.projections.job import CHANGING, FOLDS, JOB_FACTS, JobRow, submitted
from projectors.read_models.job_summary import job_summary
from projectors.rows import KeyedRows, RowsChanged


class JobSummary:
    """Folds every fact of a job into its row; the other projections of jobs are shown the row."""

    name: Final = "job_summary"
    version: Final = 1
    handles: Final[frozenset[type[AnyFact]]] = JOB_FACTS

    def __init__(self) -> None:
        self.rows: KeyedRows[JobRow] = KeyedRows(
            job_summary, "job_id", JobRow, CHANGING, is_done=_is_final
        )

    def evolve(self, event: RecordedEvent) -> tuple[JobRow, str | None]:
        """Fold one event; returns the row after it and the status before it."""
        fact = event.fact
        key: UUID = fact.originator_id
        if type(fact) is JobSubmitted:
            job = submitted(fact, event.position)
            self.rows.add(key, job)
            return job, None
        found = self.rows.get(key)
        if found is None:
            raise RowsChanged(f"job_summary: no row before position {event.position}")
        before = found.status
        FOLDS[type(fact)](found, fact)
        found.version = fact.originator_version
        found.position = event.position
        self.rows.change(key, found)
        return found, before

    def fold(self, event: RecordedEvent, job: JobRow | None, status_before: str | None) -> None:
        """Nothing is left to do: `evolve` came first."""


def _is_final(job: JobRow) -> bool:
    return job.status in FINAL_STATUSES
