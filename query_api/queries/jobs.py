"""Jobs as their latest event left them: one, a page of them, or those that changed."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Text, Uuid, bindparam, cast, column, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, JSONPATH

from events.contracts.values import JobStatus
from projectors.read_models.job_summary import job_summary
from projectors.read_models.tool_catalogue import tool_catalogue
from query_api.cursors import Cursor
from query_api.queries.applied import Applied
from query_api.reader import AnySelect, Reader, with_applied

JOB_SUMMARY: Final = "job_summary"
PROJECTIONS: Final = (JOB_SUMMARY,)

# Options whose schema says that they are written and never read, at whatever depth of it.
_SECRETS: Final = "$.properties.keyvalue() ? (exists(@.value.**.writeOnly ? (@ == true))).key"


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job; sealed text is still sealed."""

    job_id: UUID
    tenant: str
    owner: str
    tool: str
    tool_version: str
    queue: str
    priority: int
    status: str
    attempt: int
    attempts_max: int
    worker: str | None
    options: str
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    labels: str | None
    error_code: str | None
    error_message: str | None
    correlation_id: str
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None
    expires_at: datetime | None
    result_expired: bool
    duration_ms: int | None
    timeout_seconds: float
    version: int
    position: int
    queue_seconds_max: float | None = None
    schedule_id: UUID | None = None
    reused_from: UUID | None = None
    workflow_id: UUID | None = None
    step: str | None = None
    notes: str | None = None
    secret_options: list[str] | None = None
    """No column: which options are never shown; None where that was not asked or is unknown."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens unless somebody asks for it."""
        return JobStatus(self.status).is_final

    @property
    def is_running(self) -> bool:
        """Whether a worker has it."""
        return self.status == JobStatus.RUNNING


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows: those that meet every condition that is set."""

    tenant: str
    owner: str | None = None
    statuses: tuple[JobStatus, ...] = ()
    tool: str | None = None
    label_tokens: tuple[str, ...] = ()
    created_after: datetime | None = None
    workflow_id: UUID | None = None

    def parameters(self) -> dict[str, Any]:
        """The conditions that are set, by the names of their parameters."""
        values: dict[str, Any] = {
            "tenant": self.tenant,
            "owner": self.owner,
            "statuses": [status.value for status in self.statuses] or None,
            "tool": self.tool,
            "label_tokens": list(self.label_tokens) or None,
            "created_after": self.created_after,
            "workflow_id": self.workflow_id,
        }
        return {name: value for name, value in values.items() if value is not None}


_COLUMNS: Final = tuple(
    job_summary.c[field.name] for field in fields(JobRow) if field.name in job_summary.c
)
_SECRET_OPTIONS: Final = select(
    func.jsonb_path_query_array(
        tool_catalogue.c.options_schema, cast(_SECRETS, JSONPATH), type_=JSONB
    ).label("secret_options")
)
_OF_ITS_TOOL: Final = _SECRET_OPTIONS.where(tool_catalogue.c.name == job_summary.c.tool)
_OF_TOOL: Final = _SECRET_OPTIONS.where(tool_catalogue.c.name == bindparam("tool"))
_WHOLE: Final = select(*_COLUMNS, _OF_ITS_TOOL.scalar_subquery().label("secret_options"))
_BY_ID: Final = with_applied(
    _WHOLE.where(job_summary.c.job_id == bindparam("job_id")), *PROJECTIONS
)
_SEEN: Final = (
    func.unnest(
        bindparam("job_ids", type_=ARRAY(Uuid)), bindparam("versions", type_=ARRAY(BigInteger))
    )
    .table_valued(column("job_id", Uuid), column("version", BigInteger), name="seen")
    .render_derived()
)
_CHANGED: Final = with_applied(
    _WHOLE.join(_SEEN, job_summary.c.job_id == _SEEN.c.job_id).where(
        job_summary.c.version != _SEEN.c.version
    ),
    *PROJECTIONS,
)


async def find_job(reader: Reader, job_id: UUID) -> Applied[JobRow | None]:
    """One job, whoever's it is, with its secret options."""
    row = await reader.row(_BY_ID, {"job_id": job_id})
    position, columns = row[0] or 0, row[1:]
    return Applied(None if columns[0] is None else JobRow(*columns), position)


async def secret_options(reader: Reader, tool: str) -> list[str] | None:
    """The options of the tool that are never shown; None if the tool is unknown."""
    rows = await reader.rows(_OF_TOOL, {"tool": tool})
    return rows[0][0] if rows else None


async def list_jobs(
    reader: Reader, wanted: JobFilter, after: Cursor | None, limit: int
) -> Applied[list[JobRow]]:
    """The newest jobs, or those that follow the cursor; at most `limit`."""
    parameters = wanted.parameters()
    if after is not None:
        parameters |= {"cursor_at": after.created_at, "cursor_id": after.job_id}
    statement = _page(frozenset(parameters))
    rows = await reader.rows(statement, parameters | {"limit": limit})
    found = [JobRow(*row[1:]) for row in rows if row[1] is not None]
    return Applied(found, rows[0][0] or 0)


async def changed_jobs(reader: Reader, seen: Collection[tuple[UUID, int]]) -> Applied[list[JobRow]]:
    """Those of these jobs that have another version than the one that was seen."""
    parameters = {
        "job_ids": [job_id for job_id, _ in seen],
        "versions": [version for _, version in seen],
    }
    rows = await reader.rows(_CHANGED, parameters)
    found = [JobRow(*row[1:]) for row in rows if row[1] is not None]
    return Applied(found, rows[0][0] or 0)


@cache
def _page(conditions: frozenset[str]) -> AnySelect:
    """The select for these conditions: few shapes, each built once."""
    table = job_summary.c
    where = {
        "tenant": table.tenant == bindparam("tenant"),
        "owner": table.owner == bindparam("owner"),
        "statuses": table.status == func.any(bindparam("statuses", type_=ARRAY(Text))),
        "tool": table.tool == bindparam("tool"),
        "label_tokens": table.label_tokens.contains(bindparam("label_tokens", type_=ARRAY(Text))),
        "created_after": table.created_at > bindparam("created_after"),
        "workflow_id": table.workflow_id == bindparam("workflow_id"),
        "cursor_id": tuple_(table.created_at, table.job_id)
        < tuple_(
            bindparam("cursor_at", type_=table.created_at.type),
            bindparam("cursor_id", type_=table.job_id.type),
        ),
    }
    page = select(*_COLUMNS).where(*(where[name] for name in sorted(conditions & where.keys())))
    newest_first = page.order_by(table.created_at.desc(), table.job_id.desc())
    # The outer join keeps the order: it has one row on its other side.
    return with_applied(newest_first.limit(bindparam("limit")), *PROJECTIONS)
