"""The history of a job."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from query_api.event_views import event_view
from query_api.principals import CurrentUser
from query_api.queries import timeline
from query_api.rendering import Rendered, reads
from query_api.resources import WithResources
from query_api.routes.parameters import POSITION_MAX, JobId, MinPosition
from query_api.sealed import SealedText
from query_api.seeing import visible_job
from query_api.views import EventPage
from query_api.waiting import read_at_least

EVENTS_DEFAULT: Final = 200
EVENTS_MAX: Final = 1_000

router = APIRouter(prefix="/jobs", tags=["jobs"])


@reads(router, "/{job_id}/events", EventPage)
async def list_events(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    job_id: JobId,
    after: Annotated[int, Query(ge=0, le=POSITION_MAX, description="A version.")] = 0,
    limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = EVENTS_DEFAULT,
    min_position: MinPosition = 0,
) -> Response:
    """What happened to the job, oldest first."""
    job = await visible_job(resources, principal, job_id, min_position)
    # At least what the job's own row shows: the timeline is another projection.
    answer = await read_at_least(
        resources.positions,
        timeline.PROJECTIONS,
        max(min_position, job.found.position),
        lambda: timeline.list_events(resources.reader, job_id, after, limit + 1),
    )
    rows = answer.found[:limit]
    text = SealedText(await resources.history.seal(job_id))
    page = EventPage(
        items=[event_view(row, text) for row in rows],
        next_after=rows[-1].version if len(answer.found) > limit else None,
    )
    return Rendered(page).answer(request, answer.position)
