"""Bulk operations as their latest event left them: one, or a page of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Text, bindparam, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from events.contracts.bulk import BulkStatus
from projectors.read_models.bulk_operations import bulk_operations
from query_api.cursors import Cursor
from query_api.queries.applied import Applied
from query_api.reader import AnySelect, Reader, with_applied

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
_BY_ID: Final = with_applied(
    select(*_COLUMNS).where(bulk_operations.c.bulk_id == bindparam("bulk_id")), *PROJECTIONS
)


async def find_bulk(reader: Reader, bulk_id: UUID) -> Applied[BulkRow | None]:
    """One operation, whoever's it is."""
    row = await reader.row(_BY_ID, {"bulk_id": bulk_id})
    position, columns = row[0] or 0, row[1:]
    return Applied(None if columns[0] is None else BulkRow(*columns), position)


async def list_bulk(
    reader: Reader,
    tenant: str,
    owner: str | None,
    statuses: Sequence[BulkStatus],
    after: Cursor | None,
    limit: int,
) -> Applied[list[BulkRow]]:
    """The newest operations in any of these states, or those that follow the cursor."""
    given = {
        "tenant": tenant,
        "owner": owner,
        "statuses": [status.value for status in statuses] or None,
        "cursor_at": after and after.created_at,
        "cursor_id": after and after.job_id,
    }
    parameters = {name: value for name, value in given.items() if value is not None}
    rows = await reader.rows(_page(frozenset(parameters)), {**parameters, "limit": limit})
    found = [BulkRow(*row[1:]) for row in rows if row[1] is not None]
    return Applied(found, rows[0][0] or 0)


@cache
def _page(conditions: frozenset[str]) -> AnySelect:
    """The select for these conditions: few shapes, each built once."""
    table = bulk_operations.c
    where = {
        "tenant": table.tenant == bindparam("tenant"),
        "owner": table.owner == bindparam("owner"),
        "statuses": table.status == func.any(bindparam("statuses", type_=ARRAY(Text))),
        "cursor_id": tuple_(table.requested_at, table.bulk_id)
        < tuple_(
            bindparam("cursor_at", type_=table.requested_at.type),
            bindparam("cursor_id", type_=table.bulk_id.type),
        ),
    }
    page = select(*_COLUMNS).where(*(where[name] for name in sorted(conditions & where.keys())))
    newest_first = page.order_by(table.requested_at.desc(), table.bulk_id.desc())
    return with_applied(newest_first.limit(bindparam("limit")), *PROJECTIONS)
