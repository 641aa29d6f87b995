"""Schedules as their latest event left them: one, with its latest jobs, or a page of them."""

from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select, tuple_

from projectors.read_models.job_summary import job_summary
from projectors.read_models.schedule_summary import schedule_summary
from query_api.cursors import Cursor
from query_api.queries.applied import Applied
from query_api.reader import AnySelect, Reader, with_applied

PROJECTIONS: Final = ("schedule_summary",)
DELETED: Final = "deleted"
LATEST_JOBS: Final = 10


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """One schedule; sealed text is still sealed."""

    schedule_id: UUID
    tenant: str
    owner: str
    name: str
    status: str
    cron: str
    zone: str
    missed: str
    tool: str
    template: dict[str, Any]
    next_at: datetime | None
    last_fired_at: datetime | None
    last_job: UUID | None
    fired: int
    passed_over: int
    created_at: datetime
    changed_at: datetime
    version: int
    position: int
    skipped_tick: datetime | None
    skipped_because: str | None


@dataclass(frozen=True, slots=True)
class JobOfSchedule:
    """A job that a schedule submitted."""

    job_id: UUID
    status: str
    created_at: datetime
    finished_at: datetime | None


_COLUMNS: Final = tuple(schedule_summary.c[field.name] for field in fields(ScheduleRow))
_BY_ID: Final = with_applied(
    select(*_COLUMNS).where(schedule_summary.c.schedule_id == bindparam("schedule_id")),
    *PROJECTIONS,
)
_JOBS: Final = (
    select(*(job_summary.c[field.name] for field in fields(JobOfSchedule)))
    .where(job_summary.c.schedule_id == bindparam("schedule_id"))
    .order_by(job_summary.c.created_at.desc())
    .limit(LATEST_JOBS)
)


async def find_schedule(reader: Reader, schedule_id: UUID) -> Applied[ScheduleRow | None]:
    """One schedule, whoever's it is, also a deleted one."""
    row = await reader.row(_BY_ID, {"schedule_id": schedule_id})
    columns = row[1:]
    return Applied(None if columns[0] is None else ScheduleRow(*columns), row[0] or 0)


async def latest_jobs(reader: Reader, schedule_id: UUID) -> list[JobOfSchedule]:
    """The latest jobs that it submitted, newest first."""
    return [JobOfSchedule(*row) for row in await reader.rows(_JOBS, {"schedule_id": schedule_id})]


async def list_schedules(
    reader: Reader, tenant: str, owner: str | None, after: Cursor | None, limit: int
) -> Applied[list[ScheduleRow]]:
    """The newest schedules that are not deleted, or those that follow the cursor."""
    parameters: dict[str, Any] = {"tenant": tenant, "limit": limit}
    if owner is not None:
        parameters["owner"] = owner
    if after is not None:
        parameters |= {"cursor_at": after.created_at, "cursor_id": after.job_id}
    rows = await reader.rows(_page(owner is not None, after is not None), parameters)
    found = [ScheduleRow(*row[1:]) for row in rows if row[1] is not None]
    return Applied(found, rows[0][0] or 0)


@cache
def _page(of_owner: bool, after: bool) -> AnySelect:
    table = schedule_summary.c
    page = select(*_COLUMNS).where(table.tenant == bindparam("tenant"), table.status != DELETED)
    if of_owner:
        page = page.where(table.owner == bindparam("owner"))
    if after:
        last = tuple_(
            bindparam("cursor_at", type_=table.created_at.type),
            bindparam("cursor_id", type_=table.schedule_id.type),
        )
        page = page.where(tuple_(table.created_at, table.schedule_id) < last)
    newest_first = page.order_by(table.created_at.desc(), table.schedule_id.desc())
    return with_applied(newest_first.limit(bindparam("limit")), *PROJECTIONS)
