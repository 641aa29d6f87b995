"""One job: as it is, as soon as it changes, or as it was."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from infrastructure.principals import Principal
from query_api.job_views import job_detail_view
from query_api.past import Moment, job_at
from query_api.principals import CurrentUser
from query_api.queries.jobs import JobRow, secret_options
from query_api.rendering import Rendered, reads
from query_api.resources import Resources, WithResources
from query_api.routes.parameters import JobId, MinPosition, WaitSeconds
from query_api.seeing import visible_history, visible_job
from query_api.views import JobDetailView

router = APIRouter(prefix="/jobs", tags=["jobs"])

At = Annotated[
    str | None,
    Query(max_length=40, description="The past: a version (`3`) or a time with its offset."),
]


@reads(router, "/{job_id}", JobDetailView)
async def get_job(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    job_id: JobId,
    min_position: MinPosition = 0,
    wait: WaitSeconds = 0,
    at: At = None,
) -> Response:
    """One job; with `wait`, at its next change, and at once when it has ended.

    With `If-None-Match`, what counts as a change is what the caller does not have yet.
    """
    if at is not None:
        return await _as_it_was(request, resources, principal, job_id, _moment(at))
    job = await visible_job(resources, principal, job_id, min_position)
    if wait > 0 and not job.found.is_final and await _wants_next(request, resources, job.found):
        # Whose job it is never changes, so the next version is visible too.
        job = await resources.watch.next_version(job_id, job.found.version, wait) or job
    return (await _render(resources, job.found)).answer(request, job.position)


async def _wants_next(request: Request, resources: Resources, row: JobRow) -> bool:
    if "if-none-match" not in request.headers:
        return True
    return (await _render(resources, row)).is_known_to(request)


async def _render(resources: Resources, row: JobRow) -> Rendered:
    seal = await resources.history.seal(row.job_id)
    progress = await resources.live.progress([row])
    return Rendered(job_detail_view(row, seal, progress.get(row.job_id), resources.links))


async def _as_it_was(
    request: Request, resources: Resources, principal: Principal, job_id: JobId, moment: Moment
) -> Response:
    history = await visible_history(resources, principal, job_id)
    row = job_at(history.found, moment)
    row = replace(row, secret_options=await secret_options(resources.reader, row.tool))
    seal = await resources.history.seal(job_id)
    view = job_detail_view(row, seal, None, resources.links)
    return Rendered(view).answer(request, history.position)


def _moment(text: str) -> Moment:
    try:
        return Moment.parse(text)
    except ValueError:
        problem = {
            "type": "moment",
            "loc": ("query", "at"),
            "msg": "Should be a version, or a time in ISO 8601 with its offset",
        }
        raise RequestValidationError([problem]) from None
