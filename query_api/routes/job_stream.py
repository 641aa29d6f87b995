"""A job as it goes, as server-sent events."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from events.contracts.values import JobStatus
from query_api.following import Following
from query_api.principals import CurrentUser
from query_api.rendering import reads
from query_api.resources import WithResources
from query_api.routes.parameters import POSITION_MAX, JobId, MinPosition
from query_api.seeing import visible_job
from query_api.streams import HEADERS, MEDIA_TYPE, EventStream

router = APIRouter(prefix="/jobs", tags=["jobs"])

LastEventId = Annotated[
    int, Header(ge=0, le=POSITION_MAX, description="A position: only what came after it is sent.")
]
DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Events and progress", "content": {MEDIA_TYPE: {}}},
    204: {"description": "The job has ended, and nothing came after that position."},
}


@reads(router, "/{job_id}/stream", responses=DOCUMENTED, response_class=Response)
async def stream_job(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    job_id: JobId,
    last_event_id: LastEventId = 0,
    min_position: MinPosition = 0,
) -> Response:
    """What happens to the job, as server-sent events; ends with the job.

    Messages are events as `/events` shows them, with their position as id, so that a client that
    was cut off goes on without a gap. Between them `progress` tells how far the tool is; it has no
    id, as it is never stored. A job that has ended gives its history, and after that 204.
    """
    job = (await visible_job(resources, principal, job_id, max(min_position, last_event_id))).found
    if JobStatus(job.status).is_final and job.position <= last_event_id:
        return Response(status_code=204)
    if request.method == "HEAD":
        return Response(headers=HEADERS, media_type=MEDIA_TYPE)
    resources.streams.enter(principal.user_id)
    messages = Following(resources, job, last_event_id).messages()
    return EventStream(messages, lambda: resources.streams.leave(principal.user_id))
