"""Schedules: what is submitted when, what came of it, and when it comes next."""

from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from events.contracts.schedule import ScheduleCreated
from events.contracts.timetable import Timetable
from events.contracts.values import JobStatus
from infrastructure.principals import Principal
from query_api.cursors import CURSOR_CHARACTERS_MAX, Cursor
from query_api.errors import ProjectionBehind, ScheduleNotFound
from query_api.job_views import file_view
from query_api.links import Links
from query_api.principals import CurrentUser, may_see, owner_id, sees_tenant
from query_api.queries import schedules
from query_api.queries.applied import Applied
from query_api.queries.jobs import secret_options
from query_api.queries.schedules import JobOfSchedule, ScheduleRow
from query_api.rendering import Rendered, reads
from query_api.resources import Resources, WithResources
from query_api.routes.parameters import PAGE_SIZE_DEFAULT, MinPosition, PageSize
from query_api.schedule_views import (
    JobOfScheduleView,
    ScheduleDetailView,
    SchedulePage,
    ScheduleTemplateView,
    ScheduleView,
    SkippedTickView,
)
from query_api.sealed import SealedText
from query_api.waiting import read_at_least, read_when

NEXT_FIRES: Final = 5
QUERY: Final = "schedules"

router = APIRouter(prefix="/schedules", tags=["schedules"])


@reads(router, "", SchedulePage)
async def list_schedules(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    limit: PageSize = PAGE_SIZE_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=CURSOR_CHARACTERS_MAX)] = None,
    min_position: MinPosition = 0,
) -> Response:
    """Your schedules, or the tenant's where your role sees them, newest first."""
    owner = None if sees_tenant(principal) else owner_id(principal)
    after = Cursor.decode(cursor, QUERY) if cursor else None

    async def read() -> Applied[list[ScheduleRow]]:
        # One more than asked for tells whether there is another page.
        return await schedules.list_schedules(
            resources.reader, principal.tenant, owner, after, limit + 1
        )

    answer = await read_at_least(resources.positions, schedules.PROJECTIONS, min_position, read)
    rows = answer.found[:limit]
    seals = await resources.history.seals([row.schedule_id for row in rows])
    page = SchedulePage.model_construct(
        items=[
            ScheduleView.model_construct(
                **_fields(row, SealedText(seals.get(row.schedule_id)), resources.links)
            )
            for row in rows
        ],
        next_cursor=_cursor(rows[-1]) if len(answer.found) > limit else None,
    )
    return Rendered(page).answer(request, answer.position)


@reads(router, "/{schedule_id}", ScheduleDetailView)
async def get_schedule(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    schedule_id: Annotated[UUID, Path()],
    min_position: MinPosition = 0,
) -> Response:
    """One schedule, with its next times and its latest jobs."""
    answer = await _visible(resources, principal, schedule_id, min_position)
    row = answer.found
    text = SealedText(await resources.history.seal(schedule_id))
    secrets = await secret_options(resources.reader, row.tool)
    view = ScheduleDetailView.model_construct(
        **_fields(row, text, resources.links),
        job=_template(row, text, secrets),
        next_fires=_next_fires(row),
        latest_jobs=[
            _job(job, resources.links)
            for job in await schedules.latest_jobs(resources.reader, schedule_id)
        ],
    )
    return Rendered(view).answer(request, answer.position)


async def _visible(
    resources: Resources, principal: Principal, schedule_id: UUID, min_position: int
) -> Applied[ScheduleRow]:
    """The schedule at that position or later; raises ScheduleNotFound, ProjectionBehind."""

    async def read() -> Applied[ScheduleRow | None]:
        return await schedules.find_schedule(resources.reader, schedule_id)

    answer = await read()
    if answer.found is None:
        # As with jobs: what is in the log and not yet in the tables is waited for.
        first = await resources.history.first_event(schedule_id)
        if first is None or not isinstance(first.fact, ScheduleCreated):
            raise ScheduleNotFound
        _refuse_stranger(principal, first.fact.tenant, first.fact.owner)
        min_position = max(min_position, first.position)
    else:
        _refuse_stranger(principal, answer.found.tenant, answer.found.owner)
    if answer.found is None or answer.position < min_position:
        answer = await read_when(resources.positions, schedules.PROJECTIONS, min_position, read)
    if answer.found is None:
        raise ProjectionBehind
    if answer.found.status == schedules.DELETED:
        raise ScheduleNotFound
    return Applied(answer.found, answer.position)


def _refuse_stranger(principal: Principal, tenant: str, owner: str) -> None:
    if not may_see(principal, tenant, owner):
        raise ScheduleNotFound


def _fields(row: ScheduleRow, text: SealedText, links: Links) -> dict[str, Any]:
    return {
        "schedule_id": row.schedule_id,
        "name": text.schedule_name(row.name),
        "status": row.status,
        "owner": row.owner,
        "cron": row.cron,
        "time_zone": row.zone,
        "missed": row.missed,
        "tool": row.tool,
        "next_at": row.next_at,
        "last_fired_at": row.last_fired_at,
        "last_job_id": row.last_job,
        "fired": row.fired,
        "passed_over": row.passed_over,
        "last_skip": _last_skip(row),
        "created_at": row.created_at,
        "changed_at": row.changed_at,
        "version": row.version,
        "position": row.position,
        "links": links.schedule(row.schedule_id, row.status),
    }


def _template(
    row: ScheduleRow, text: SealedText, secrets: list[str] | None
) -> ScheduleTemplateView:
    template = row.template
    return ScheduleTemplateView.model_construct(
        tool=row.tool,
        options=text.options(template["options"], secrets),
        queue=template["queue"],
        priority=template["priority"],
        labels=text.labels(template["labels"]),
        inputs=[file_view(file, text) for file in template.get("inputs", ())],
        timeout_seconds=template["timeout_seconds"],
        queue_seconds_max=template["queue_seconds_max"],
    )


def _last_skip(row: ScheduleRow) -> SkippedTickView | None:
    if row.skipped_because is None:
        return None
    return SkippedTickView.model_construct(tick=row.skipped_tick, reason=row.skipped_because)


def _next_fires(row: ScheduleRow) -> list[datetime]:
    if row.next_at is None:
        return []
    later = Timetable(row.cron, row.zone).ticks_after(row.next_at)
    return [row.next_at, *islice(later, NEXT_FIRES - 1)]


def _job(job: JobOfSchedule, links: Links) -> JobOfScheduleView:
    return JobOfScheduleView.model_construct(
        job_id=job.job_id,
        status=JobStatus(job.status),
        created_at=job.created_at,
        finished_at=job.finished_at,
        links=links.job(job.job_id, job.status),
    )


def _cursor(row: ScheduleRow) -> str:
    return Cursor(row.created_at, row.schedule_id).encode(QUERY)
