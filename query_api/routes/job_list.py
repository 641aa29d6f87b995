"""A page of jobs, newest first."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints
from starlette.responses import Response

from events.contracts.values import JobStatus
from infrastructure.principals import Principal
from query_api.history import History
from query_api.job_views import job_views
from query_api.principals import CurrentUser, owner_id, sees_tenant
from query_api.queries import jobs
from query_api.queries.applied import Applied
from query_api.queries.jobs import JobFilter, JobRow
from query_api.rendering import Rendered, reads
from query_api.resources import WithResources
from query_api.routes.page_query import PageQuery
from query_api.views import JobPage
from query_api.waiting import read_at_least

LABELS_MAX: Final = 8
Label = Annotated[str, StringConstraints(pattern=r"^[^:]{1,100}:[^\x00]{0,300}$")]

router = APIRouter(prefix="/jobs", tags=["jobs"])


class JobConditions(BaseModel):
    """Which jobs."""

    status: list[JobStatus] = Field(
        default=[], max_length=len(JobStatus), description="Any of these; repeat it."
    )
    tool: str | None = Field(default=None, max_length=100)
    label: list[Label] = Field(
        default=[], max_length=LABELS_MAX, description="`name:value`; all of these; repeat it."
    )
    created_after: AwareDatetime | None = None
    workflow_id: UUID | None = None


class JobQuery(PageQuery, JobConditions):
    """Which jobs, how many, and where to go on."""

    listed = "jobs"


@reads(router, "", JobPage)
async def list_jobs(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    query: Annotated[JobQuery, Query()],
) -> Response:
    """Your jobs, or the tenant's where your role sees them."""
    wanted = _filter(query, principal, resources.history)
    after = query.after

    async def read() -> Applied[list[JobRow]]:
        # One more than asked for tells whether there is another page.
        return await jobs.list_jobs(resources.reader, wanted, after, query.limit + 1)

    answer = await read_at_least(resources.positions, jobs.PROJECTIONS, query.min_position, read)
    rows = answer.found[: query.limit]
    seals = await resources.history.seals([row.job_id for row in rows])
    progress = await resources.live.progress(rows)
    page = JobPage.model_construct(
        items=job_views(rows, seals, progress, resources.links),
        next_cursor=_next_cursor(rows, query) if len(answer.found) > query.limit else None,
    )
    return Rendered(page).answer(request, answer.position)


def _filter(query: JobQuery, principal: Principal, history: History) -> JobFilter:
    labels = (label.partition(":") for label in query.label)
    return JobFilter(
        tenant=principal.tenant,
        owner=None if sees_tenant(principal) else owner_id(principal),
        statuses=tuple(query.status),
        tool=query.tool,
        label_tokens=tuple(
            history.label_token(principal.tenant, name, value) for name, _, value in labels
        ),
        created_after=query.created_after,
        workflow_id=query.workflow_id,
    )


def _next_cursor(rows: list[JobRow], query: JobQuery) -> str:
    return query.cursor_after(rows[-1].created_at, rows[-1].job_id)
