"""Workflows: how far every step is, as numbers, as a picture, and as a history."""

from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from events.contracts.workflow import WorkflowStatus, WorkflowSubmitted
from infrastructure.principals import Principal
from query_api import workflow_picture
from query_api.errors import ProjectionBehind, WorkflowNotFound
from query_api.principals import CurrentUser, may_see, owner_id, sees_tenant
from query_api.queries import workflows
from query_api.queries.applied import Applied
from query_api.queries.workflows import WorkflowDetailRow, WorkflowRow
from query_api.rendering import Rendered, reads
from query_api.resources import Resources, WithResources
from query_api.routes.events import EVENTS_DEFAULT, EVENTS_MAX
from query_api.routes.page_query import PageQuery
from query_api.routes.parameters import POSITION_MAX, MinPosition
from query_api.sealed import SealedText
from query_api.views import EventPage
from query_api.waiting import read_at_least, read_when
from query_api.workflow_views import (
    WorkflowDetailView,
    WorkflowPage,
    workflow_detail_view,
    workflow_event_view,
    workflow_view,
)

router = APIRouter(prefix="/workflows", tags=["workflows"])

WorkflowId = Annotated[UUID, Path(description="The id that the submission gave.")]
PICTURE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {workflow_picture.MEDIA_TYPE: {"schema": {"type": "string"}}}}
}


class Format(StrEnum):
    """How a workflow is shown."""

    JSON = "json"
    MERMAID = "mermaid"


class WorkflowConditions(BaseModel):
    """Which workflows."""

    status: list[WorkflowStatus] = Field(
        default=[], max_length=len(WorkflowStatus), description="Any of these; repeat it."
    )


class WorkflowQuery(PageQuery, WorkflowConditions):
    """Which workflows, how many, and where to go on."""

    listed = "workflows"


@reads(router, "", WorkflowPage)
async def list_workflows(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    query: Annotated[WorkflowQuery, Query()],
) -> Response:
    """Your workflows and batches, or the tenant's where your role sees them, newest first."""
    owner = None if sees_tenant(principal) else owner_id(principal)
    after = query.after

    async def read() -> Applied[list[WorkflowRow]]:
        # One more than asked for tells whether there is another page.
        return await workflows.PAGES.page(
            resources.reader, principal.tenant, owner, query.status, after, query.limit + 1
        )

    answer = await read_at_least(
        resources.positions, workflows.PROJECTIONS, query.min_position, read
    )
    rows = answer.found[: query.limit]
    seals = await resources.history.seals([row.workflow_id for row in rows])
    page = WorkflowPage.model_construct(
        items=[
            workflow_view(row, SealedText(seals.get(row.workflow_id)), resources.links)
            for row in rows
        ],
        next_cursor=_next_cursor(rows, query) if len(answer.found) > query.limit else None,
    )
    return Rendered(page).answer(request, answer.position)


@reads(router, "/{workflow_id}", WorkflowDetailView, responses=PICTURE)
async def get_workflow(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    workflow_id: WorkflowId,
    min_position: MinPosition = 0,
    as_format: Annotated[
        Format, Query(alias="format", description="`mermaid`: a picture of it, as text.")
    ] = Format.JSON,
) -> Response:
    """One workflow with the state of every step and its jobs."""
    answer = await _visible(resources, principal, workflow_id, min_position)
    text = SealedText(await resources.history.seal(workflow_id))
    view = workflow_detail_view(answer.found, text, resources.links)
    if as_format is Format.MERMAID:
        picture = Rendered(workflow_picture.mermaid(view), workflow_picture.MEDIA_TYPE)
        return picture.answer(request, answer.position)
    return Rendered(view).answer(request, answer.position)


@reads(router, "/{workflow_id}/events", EventPage)
async def list_workflow_events(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    workflow_id: WorkflowId,
    after: Annotated[int, Query(ge=0, le=POSITION_MAX, description="A version.")] = 0,
    limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = EVENTS_DEFAULT,
    min_position: MinPosition = 0,
) -> Response:
    """What happened to the workflow, oldest first; its jobs have histories of their own."""
    await _visible(resources, principal, workflow_id, min_position)
    # From the log itself, so it is never behind the workflow's row.
    head = await resources.history.head()
    up_to = after + limit + 1
    events = await resources.history.events(workflow_id, after=after, up_to=up_to)
    shown = events[:limit]
    page = EventPage(
        items=[workflow_event_view(event) for event in shown],
        next_after=shown[-1].version if len(events) > limit else None,
    )
    return Rendered(page).answer(request, head)


async def _visible(
    resources: Resources, principal: Principal, workflow_id: UUID, min_position: int
) -> Applied[WorkflowDetailRow]:
    """The workflow at that position or later; raises WorkflowNotFound, ProjectionBehind."""

    async def read() -> Applied[WorkflowDetailRow | None]:
        return await workflows.find_workflow(resources.reader, workflow_id)

    answer = await read()
    if answer.found is not None:
        _refuse_stranger(principal, answer.found.tenant, answer.found.owner)
    else:
        # As with jobs: what is in the log and not yet in the tables is waited for.
        first = await resources.history.first_event(workflow_id)
        if first is None or not isinstance(first.fact, WorkflowSubmitted):
            raise WorkflowNotFound
        _refuse_stranger(principal, first.fact.tenant, first.fact.owner)
        min_position = max(min_position, first.position)
    if answer.found is None or answer.position < min_position:
        answer = await read_when(resources.positions, workflows.PROJECTIONS, min_position, read)
    if answer.found is None:
        raise ProjectionBehind
    return Applied(answer.found, answer.position)


def _refuse_stranger(principal: Principal, tenant: str, owner: str) -> None:
    if not may_see(principal, tenant, owner):
        raise WorkflowNotFound


def _next_cursor(rows: list[WorkflowRow], query: WorkflowQuery) -> str:
    return query.cursor_after(rows[-1].created_at, rows[-1].workflow_id)
