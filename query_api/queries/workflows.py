"""Workflows as their latest event left them: one with its steps, or a page of them without."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Text, bindparam, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from events.contracts.workflow import WorkflowStatus
from projectors.read_models.workflow_summary import workflow_summary
from query_api.cursors import Cursor
from query_api.queries.applied import Applied
from query_api.reader import AnySelect, Reader, with_applied

PROJECTIONS: Final = ("workflow_summary",)


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    """One workflow; sealed text is still sealed."""

    workflow_id: UUID
    tenant: str
    owner: str
    kind: str
    status: str
    name: str | None
    labels: str | None
    on_failure: str
    round: int
    counts: dict[str, int]
    request_id: str
    created_at: datetime
    ended_at: datetime | None
    version: int
    position: int


@dataclass(frozen=True, slots=True)
class WorkflowDetailRow(WorkflowRow):
    """One workflow with its steps: their plan, and how far those are that do not wait any more."""

    plan: list[dict[str, Any]]
    steps: dict[str, dict[str, Any]]


_COLUMNS: Final = tuple(workflow_summary.c[field.name] for field in fields(WorkflowRow))
_DETAIL: Final = tuple(workflow_summary.c[field.name] for field in fields(WorkflowDetailRow))
_BY_ID: Final = with_applied(
    select(*_DETAIL).where(workflow_summary.c.workflow_id == bindparam("workflow_id")),
    *PROJECTIONS,
)


async def find_workflow(reader: Reader, workflow_id: UUID) -> Applied[WorkflowDetailRow | None]:
    """One workflow, whoever's it is."""
    row = await reader.row(_BY_ID, {"workflow_id": workflow_id})
    columns = row[1:]
    found = None if columns[0] is None else WorkflowDetailRow(*columns)
    return Applied(found, row[0] or 0)


async def list_workflows(
    reader: Reader,
    tenant: str,
    owner: str | None,
    statuses: Sequence[WorkflowStatus],
    after: Cursor | None,
    limit: int,
) -> Applied[list[WorkflowRow]]:
    """The newest workflows in any of these states, or those that follow the cursor."""
    given = {
        "tenant": tenant,
        "owner": owner,
        "statuses": [status.value for status in statuses] or None,
        "cursor_at": after and after.created_at,
        "cursor_id": after and after.job_id,
    }
    parameters = {name: value for name, value in given.items() if value is not None}
    rows = await reader.rows(_page(frozenset(parameters)), {**parameters, "limit": limit})
    found = [WorkflowRow(*row[1:]) for row in rows if row[1] is not None]
    return Applied(found, rows[0][0] or 0)


@cache
def _page(conditions: frozenset[str]) -> AnySelect:
    """The select for these conditions: few shapes, each built once."""
    table = workflow_summary.c
    where = {
        "tenant": table.tenant == bindparam("tenant"),
        "owner": table.owner == bindparam("owner"),
        "statuses": table.status == func.any(bindparam("statuses", type_=ARRAY(Text))),
        "cursor_id": tuple_(table.created_at, table.workflow_id)
        < tuple_(
            bindparam("cursor_at", type_=table.created_at.type),
            bindparam("cursor_id", type_=table.workflow_id.type),
        ),
    }
    page = select(*_COLUMNS).where(*(where[name] for name in sorted(conditions & where.keys())))
    newest_first = page.order_by(table.created_at.desc(), table.workflow_id.desc())
    return with_applied(newest_first.limit(bindparam("limit")), *PROJECTIONS)
