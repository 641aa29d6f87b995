"""Which workers there are, for those who may see the whole tenant."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from query_api.principals import TenantReader
from query_api.rendering import Rendered, reads
from query_api.resources import WithResources
from query_api.views import WorkerPage, WorkerView
from query_api.workers import WorkerRow

router = APIRouter(prefix="/workers", tags=["stats"])


@reads(router, "", WorkerPage)
async def list_workers(
    request: Request, resources: WithResources, principal: TenantReader
) -> Response:
    """Every worker that is there, what it can do, and what it does."""
    rows = await resources.workers.list(principal.tenant)
    head = await resources.history.head()
    return Rendered(WorkerPage(items=[_view(row) for row in rows])).answer(request, head)


def _view(row: WorkerRow) -> WorkerView:
    slots = row.sandboxes + row.inline_slots
    used = row.sandboxes_busy + row.inline_busy
    return WorkerView(
        worker=row.worker,
        host=row.host,
        process=row.process,
        version=row.version,
        isolation=row.isolation,
        status="draining" if row.is_draining else "working",
        slots=slots,
        used=used,
        free=slots - used,
        sandboxes=row.sandboxes,
        sandboxes_used=row.sandboxes_busy,
        jobs=row.jobs,
        started_at=row.started_at,
        seen_at=row.seen_at,
    )
