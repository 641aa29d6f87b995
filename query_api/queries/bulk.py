"""Bulk operations as their latest event left them: one, or a page of them."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select

from projectors.read_models.bulk_operations import bulk_operations
from query_api.queries.applied import Applied
from query_api.queries.newest_first import NewestFirst
from query_api.reader import Reader, with_applied

PROJECTIONS: Final = ("bulk_operations",)


@dataclass(frozen=True, slots=True)
class BulkRow:
    """One operation; sealed text is still sealed."""

    bulk_id: UUID
    tenant: str
    owner: str
    action: str
    status: str
    dry_run: bool
    filter: dict[str, Any]
    labels: str | None
    matched: int
    changed: int
    skipped: int
    requested_at: datetime
    progressed_at: datetime | None
    ended_at: datetime | None
    version: int
    position: int


_COLUMNS: Final = tuple(bulk_operations.c[field.name] for field in fields(BulkRow))
PAGES: Final = NewestFirst(
    bulk_operations,
    _COLUMNS,
    made_at="requested_at",
    key="bulk_id",
    make=BulkRow,
    projections=PROJECTIONS,
)
"""Their pages."""
_BY_ID: Final = with_applied(
    select(*_COLUMNS).where(bulk_operations.c.bulk_id == bindparam("bulk_id")), *PROJECTIONS
)


async def find_bulk(reader: Reader, bulk_id: UUID) -> Applied[BulkRow | None]:
    """One operation, whoever's it is."""
    row = await reader.row(_BY_ID, {"bulk_id": bulk_id})
    position, columns = row[0] or 0, row[1:]
    return Applied(None if columns[0] is None else BulkRow(*columns), position)
