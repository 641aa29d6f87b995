"""How far a bulk operation has come."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from events.contracts.bulk import BulkAction, BulkRequested, BulkStatus
from infrastructure.principals import Principal
from query_api.errors import BulkNotFound, ProjectionBehind
from query_api.links import Links
from query_api.principals import CurrentUser, may_see
from query_api.queries import bulk
from query_api.queries.applied import Applied
from query_api.queries.bulk import BulkRow
from query_api.rendering import Rendered, reads
from query_api.resources import Resources, WithResources
from query_api.routes.parameters import MinPosition
from query_api.sealed import SealedText
from query_api.views import BulkFilterView, BulkView
from query_api.waiting import read_when

router = APIRouter(prefix="/bulk", tags=["jobs"])

BulkId = Annotated[UUID, Path(description="The id that the request gave.")]


@reads(router, "/{bulk_id}", BulkView)
async def get_bulk(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    bulk_id: BulkId,
    min_position: MinPosition = 0,
) -> Response:
    """One bulk operation: your own, or the tenant's where your role sees them."""
    answer = await _visible(resources, principal, bulk_id, min_position)
    text = SealedText(await resources.history.seal(bulk_id))
    view = _view(answer.found, text, resources.links)
    return Rendered(view).answer(request, answer.position)


async def _visible(
    resources: Resources, principal: Principal, bulk_id: UUID, min_position: int
) -> Applied[BulkRow]:
    async def read() -> Applied[BulkRow | None]:
        return await bulk.find_bulk(resources.reader, bulk_id)

    answer = await read()
    if answer.found is not None:
        _refuse_stranger(principal, answer.found.tenant, answer.found.owner)
    else:
        first = await resources.history.first_event(bulk_id)
        if first is None or not isinstance(first.fact, BulkRequested):
            raise BulkNotFound
        _refuse_stranger(principal, first.fact.tenant, first.fact.owner)
        min_position = max(min_position, first.position)
    if answer.found is None or answer.position < min_position:
        answer = await read_when(resources.positions, bulk.PROJECTIONS, min_position, read)
    if answer.found is None:
        raise ProjectionBehind
    return Applied(answer.found, answer.position)


def _refuse_stranger(principal: Principal, tenant: str, owner: str) -> None:
    if not may_see(principal, tenant, owner):
        raise BulkNotFound


def _view(row: BulkRow, text: SealedText, links: Links) -> BulkView:
    wanted = row.filter
    return BulkView(
        bulk_id=row.bulk_id,
        action=BulkAction(row.action),
        status=BulkStatus(row.status),
        owner=row.owner,
        dry_run=row.dry_run,
        filter=BulkFilterView(
            status=wanted["statuses"],
            owner=wanted["owner"],
            tool=wanted["tool"],
            queue=wanted["queue"],
            error_code=wanted["error_code"],
            labels=text.labels(row.labels),
            created_after=wanted["created_after"],
            created_before=wanted["created_before"],
        ),
        matched=row.matched,
        changed=row.changed,
        skipped=row.skipped,
        requested_at=row.requested_at,
        progressed_at=row.progressed_at,
        ended_at=row.ended_at,
        version=row.version,
        position=row.position,
        links=links.bulk(row.bulk_id, row.status),
    )
