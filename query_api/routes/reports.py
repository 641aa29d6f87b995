"""How a job went: what its attempts wrote, and all that is known of it in one document."""

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from query_api.attempt_logs import KeptLog
from query_api.errors import AttemptLogNotFound
from query_api.event_views import event_view
from query_api.job_report import attempts_of
from query_api.job_views import job_detail_view
from query_api.principals import CurrentUser
from query_api.queries import timeline
from query_api.queries.timeline import EventRow
from query_api.rendering import Rendered, reads
from query_api.resources import WithResources
from query_api.routes.parameters import JobId, MinPosition
from query_api.sealed import SealedText
from query_api.seeing import visible_job
from query_api.views import AttemptLogView, JobReportView
from query_api.waiting import read_at_least

EVENTS_MAX: Final = 1_000
LOG_TAIL_CHARACTERS: Final = 8_000

router = APIRouter(prefix="/jobs", tags=["jobs"])

AttemptNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="The attempt's lease.")]


@reads(router, "/{job_id}/attempts/{number}/log", AttemptLogView)
async def get_attempt_log(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    job_id: JobId,
    number: AttemptNumber,
) -> Response:
    """What the tool printed and logged in one attempt, as far as it was kept."""
    job = await visible_job(resources, principal, job_id)
    kept = await resources.attempt_logs.find(job_id, number)
    if kept is None:
        raise AttemptLogNotFound
    text = SealedText(await resources.history.seal(job_id))
    return Rendered(_log_view(kept, text)).answer(request, job.position)


@reads(router, "/{job_id}/report", JobReportView)
async def get_report(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    job_id: JobId,
    min_position: MinPosition = 0,
) -> Response:
    """One document to share: why the job failed, each attempt, the log's end, the timeline."""
    job = await visible_job(resources, principal, job_id, min_position)
    answer = await read_at_least(
        resources.positions,
        timeline.PROJECTIONS,
        max(min_position, job.found.position),
        lambda: timeline.list_events(resources.reader, job_id, 0, EVENTS_MAX + 1),
    )
    events: list[EventRow] = answer.found[:EVENTS_MAX]
    seal = await resources.history.seal(job_id)
    text = SealedText(seal)
    attempts = attempts_of(events, text)
    kept = await resources.attempt_logs.latest(job_id)
    detail = job_detail_view(job.found, seal, None, resources.links)
    report = JobReportView(
        job=detail,
        reason=detail.error,
        request_id=detail.request_id,
        queue_wait_ms=_sum(attempt.waited_ms for attempt in attempts),
        run_ms=_sum(attempt.duration_ms for attempt in attempts),
        attempts=attempts,
        log=None if kept is None else _tail(_log_view(kept, text)),
        timeline=[event_view(event, text) for event in events],
        timeline_is_cut=len(answer.found) > EVENTS_MAX,
    )
    return Rendered(report).answer(request, answer.position)


def _sum(milliseconds: Iterable[int | None]) -> int:
    return sum(each or 0 for each in milliseconds)


def _log_view(kept: KeptLog, text: SealedText) -> AttemptLogView:
    return AttemptLogView(
        number=kept.lease,
        text=text.log(kept.text),
        is_cut=kept.is_cut,
        written_at=kept.written_at,
        expires_at=kept.expires_at,
    )


def _tail(view: AttemptLogView) -> AttemptLogView:
    if view.text is None or len(view.text) <= LOG_TAIL_CHARACTERS:
        return view
    return view.model_copy(update={"text": view.text[-LOG_TAIL_CHARACTERS:], "is_cut": True})
