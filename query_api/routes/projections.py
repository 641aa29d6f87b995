"""How far the projections are behind the log."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from query_api.principals import TenantReader
from query_api.queries import projections
from query_api.rendering import Rendered, reads
from query_api.resources import WithResources
from query_api.views import ProjectionPage, ProjectionView

router = APIRouter(prefix="/projections", tags=["projections"])


@reads(router, "", ProjectionPage)
async def list_projections(
    request: Request, resources: WithResources, principal: TenantReader
) -> Response:
    """Every projection, its position and its lag; for operators and auditors."""
    # The head is read last, so that no lag is ever below zero.
    rows = await projections.list_projections(resources.reader)
    head = await resources.history.head()
    page = ProjectionPage(
        head=head,
        items=[
            ProjectionView(
                name=row.name,
                position=row.position,
                lag=max(0, head - row.position),
                updated_at=row.updated_at,
            )
            for row in rows
        ],
    )
    return Rendered(page).answer(request, min((row.position for row in rows), default=0))
