"""How far the projections are behind the log."""

from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from query_api.principals import TenantReader
from query_api.queries import projections
from query_api.rendering import Rendered, reads
from query_api.resources import WithResources
from query_api.views import ProjectionPage, ProjectionView

LIVE: Final = "live"
"""The projection into Redis, under the name it has in its metrics."""

router = APIRouter(prefix="/projections", tags=["projections"])


@reads(router, "", ProjectionPage)
async def list_projections(
    request: Request, resources: WithResources, principal: TenantReader
) -> Response:
    """Every projection, its position and its lag; for operators and auditors."""
    # The head is read last, so that no lag is ever below zero.
    rows = await projections.list_projections(resources.reader)
    live_position = await resources.live.position()
    head = await resources.history.head()
    views = [_view(row.name, row.position, head, row.updated_at) for row in rows]
    if live_position is not None:
        views.append(_view(LIVE, live_position, head, None))
    views.sort(key=lambda view: view.name)
    page = ProjectionPage(head=head, items=views)
    return Rendered(page).answer(request, min((row.position for row in rows), default=0))


def _view(name: str, position: int, head: int, updated_at: datetime | None) -> ProjectionView:
    lag = max(0, head - position)
    return ProjectionView(name=name, position=position, lag=lag, updated_at=updated_at)
