"""Projects jobs as they stand now."""

from typing import Any, Final

from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from events.contracts.job import JobSubmitted
from events.contracts.values import FINAL_STATUSES
from projectors.projections.job import CHANGING, FOLDS, JOB_FACTS, JobRow, submitted
from projectors.read_models.job_summary import job_summary
from projectors.rows import KeyedRows, RowsChanged


class JobSummary:
    """Folds every fact of a job into its row; the other projections of jobs are shown the row."""

    name: Final = "job_summary"
    version: Final = 4
    handles: Final[frozenset[type[AnyFact]]] = JOB_FACTS

    def __init__(self) -> None:
        self.rows: KeyedRows[JobRow] = KeyedRows(
            job_summary, "job_id", JobRow, CHANGING, is_done=_is_final
        )

    def evolve(self, fact: Any, row: RecordedRow) -> tuple[JobRow, str | None]:
        """Fold one fact; returns the job after it and the status before it."""
        kind = type(fact)
        if kind is JobSubmitted:
            job = submitted(fact, row.position)
            self.rows.add(job.job_id, job)
            return job, None
        key = fact.originator_id
        found = self.rows.get(key)
        if found is None:
            raise RowsChanged(f"job_summary: no row before position {row.position}")
        before = found.status
        FOLDS[kind](found, fact)
        found.version = fact.originator_version
        found.position = row.position
        self.rows.change(key, found)
        return found, before

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """Nothing is left to do: `evolve` came first."""


def _is_final(job: JobRow) -> bool:
    return job.status in FINAL_STATUSES
