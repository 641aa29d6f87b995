"""Projects bulk operations as they stand now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from events.contracts import bulk as facts
from events.contracts.bulk import BulkStatus
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from projectors.projections.job import JobRow
from projectors.read_models.bulk_operations import bulk_operations
from projectors.rows import KeyedRows, RowsChanged


@dataclass(slots=True)
class BulkRow:
    """One row of `bulk_operations`; the fields are its columns, in order."""

    bulk_id: UUID
    tenant: str
    owner: str
    action: str
    status: str
    dry_run: bool
    filter: str
    labels: str | None
    matched: int
    changed: int
    skipped: int
    requested_at: datetime
    progressed_at: datetime | None
    ended_at: datetime | None
    version: int
    position: int


CHANGING: Final = (
    *("status", "matched", "changed", "skipped", "progressed_at", "ended_at"),
    *("version", "position"),
)


class BulkOperations:
    """Keeps how far each operation has come."""

    name: Final = "bulk_operations"
    version: Final = 1

    def __init__(self) -> None:
        self.rows: KeyedRows[BulkRow] = KeyedRows(
            bulk_operations, "bulk_id", BulkRow, CHANGING, is_done=_is_final
        )

    @property
    def handles(self) -> frozenset[type[AnyFact]]:
        """See `Projection.handles`."""
        return BULK_FACTS

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """See `Projection.fold`."""
        if type(fact) is facts.BulkRequested:
            self.rows.add(fact.originator_id, _requested(fact, row.position))
            return
        found = self.rows.get(fact.originator_id)
        if found is None:
            raise RowsChanged(f"bulk_operations: no row before position {row.position}")
        FOLDS[type(fact)](found, fact)
        found.version = fact.originator_version
        found.position = row.position
        self.rows.change(fact.originator_id, found)


def _requested(fact: facts.BulkRequested, position: int) -> BulkRow:
    return BulkRow(
        bulk_id=fact.originator_id,
        tenant=fact.tenant,
        owner=fact.owner,
        action=fact.action,
        status=BulkStatus.RUNNING,
        dry_run=fact.dry_run,
        filter=orjson.dumps(fact.filter).decode(),
        labels=fact.labels,
        matched=0,
        changed=0,
        skipped=0,
        requested_at=fact.timestamp,
        progressed_at=None,
        ended_at=None,
        version=fact.originator_version,
        position=position,
    )


def _progressed(row: BulkRow, fact: facts.BulkProgressed) -> None:
    row.matched, row.changed, row.skipped = fact.matched, fact.changed, fact.skipped
    row.progressed_at = fact.timestamp


def _finished(row: BulkRow, fact: facts.BulkFinished) -> None:
    row.matched, row.changed, row.skipped = fact.matched, fact.changed, fact.skipped
    row.status = BulkStatus.FINISHED
    row.ended_at = fact.timestamp


def _cancelled(row: BulkRow, fact: facts.BulkCancelled) -> None:
    row.status = BulkStatus.CANCELLED
    row.ended_at = fact.timestamp


FOLDS: Final[dict[type[AnyFact], Callable[[BulkRow, Any], None]]] = {
    facts.BulkProgressed: _progressed,
    facts.BulkFinished: _finished,
    facts.BulkCancelled: _cancelled,
}
BULK_FACTS: Final[frozenset[type[AnyFact]]] = frozenset({facts.BulkRequested, *FOLDS})


def _is_final(row: BulkRow) -> bool:
    return row.ended_at is not None
