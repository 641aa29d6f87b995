"""The tenant's queues, for those who may see the whole tenant."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from query_api.principals import TenantReader
from query_api.queries import queues
from query_api.rendering import Rendered, reads
from query_api.resources import WithResources
from query_api.routes.parameters import MinPosition
from query_api.sealed import SealedText
from query_api.views import LimitPage, LimitView, QueuePage, QueueView
from query_api.waiting import read_at_least

router = APIRouter(tags=["queues"])


@reads(router, "/queues", QueuePage)
async def list_queues(
    request: Request,
    resources: WithResources,
    principal: TenantReader,
    min_position: MinPosition = 0,
) -> Response:
    """Every queue that the tenant used or paused: how much waits, since when, and what runs."""
    answer = await read_at_least(
        resources.positions,
        queues.QUEUE_PROJECTIONS,
        min_position,
        lambda: queues.list_queues(resources.reader, principal.tenant),
    )
    page = QueuePage(
        items=[
            QueueView(
                name=row.queue,
                paused=row.paused,
                depth=row.queued,
                running=row.running,
                scheduled=row.scheduled,
                retrying=row.retrying,
                oldest_at=row.oldest_at,
            )
            for row in answer.found
        ]
    )
    return Rendered(page).answer(request, answer.position)


@reads(router, "/limits", LimitPage)
async def list_limits(
    request: Request,
    resources: WithResources,
    principal: TenantReader,
    min_position: MinPosition = 0,
) -> Response:
    """Every limit of the tenant."""
    answer = await read_at_least(
        resources.positions,
        queues.LIMIT_PROJECTIONS,
        min_position,
        lambda: queues.list_limits(resources.reader, principal.tenant),
    )
    sealed = [row.limit_id for row in answer.found if row.subject_text is not None]
    seals = await resources.history.seals(sealed) if sealed else {}
    page = LimitPage(
        items=[
            LimitView(
                limit_id=row.limit_id,
                scope=row.scope,
                name=(
                    SealedText(seals.get(row.limit_id)).subject(row.subject_text)
                    if row.subject_text is not None
                    else row.subject or None
                ),
                concurrency=row.concurrency,
                rate=row.rate,
                per_seconds=row.per_seconds,
            )
            for row in answer.found
        ]
    )
    return Rendered(page).answer(request, answer.position)
