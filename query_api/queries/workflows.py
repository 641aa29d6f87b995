"""Workflows as their latest event left them: one with its steps, or a page of them without."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select

from projectors.read_models.workflow_summary import workflow_summary
from query_api.queries.applied import Applied
from query_api.queries.newest_first import NewestFirst
from query_api.reader import Reader, with_applied

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
PAGES: Final = NewestFirst(
    workflow_summary,
    _COLUMNS,
    made_at="created_at",
    key="workflow_id",
    make=WorkflowRow,
    projections=PROJECTIONS,
)
"""Their pages."""
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
