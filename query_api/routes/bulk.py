"""How far bulk operations have come: one, or a page of them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from events.contracts.bulk import BulkAction, BulkRequested, BulkStatus
from infrastructure.principals import Principal
from query_api.errors import BulkNotFound, ProjectionBehind
from query_api.links import Links
from query_api.principals import CurrentUser, may_see, owner_id, sees_tenant
from query_api.queries import bulk
from query_api.queries.applied import Applied
from query_api.queries.bulk import BulkRow
from query_api.rendering import Rendered, reads
from query_api.resources import Resources, WithResources
from query_api.routes.page_query import PageQuery
from query_api.routes.parameters import MinPosition
from query_api.sealed import SealedText
from query_api.views import BulkFilterView, BulkPage, BulkView
from query_api.waiting import read_at_least, read_when

router = APIRouter(prefix="/bulk", tags=["jobs"])

BulkId = Annotated[UUID, Path(description="The id that the request gave.")]


class BulkConditions(BaseModel):
    """Which operations."""

    status: list[BulkStatus] = Field(
        default=[], max_length=len(BulkStatus), description="Any of these; repeat it."
    )


class BulkQuery(PageQuery, BulkConditions):
    """Which operations, how many, and where to go on."""

    listed = "bulk"


@reads(router, "", BulkPage)
async def list_bulk(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    query: Annotated[BulkQuery, Query()],
) -> Response:
    """Your bulk operations, or the tenant's where your role sees them, newest first."""
    owner = None if sees_tenant(principal) else owner_id(principal)
    after = query.after

    async def read() -> Applied[list[BulkRow]]:
        # One more than asked for tells whether there is another page.
        return await bulk.PAGES.page(
            resources.reader, principal.tenant, owner, query.status, after, query.limit + 1
        )

    answer = await read_at_least(resources.positions, bulk.PROJECTIONS, query.min_position, read)
    rows = answer.found[: query.limit]
    seals = await resources.history.seals([row.bulk_id for row in rows])
    page = BulkPage.model_construct(
        items=[_view(row, SealedText(seals.get(row.bulk_id)), resources.links) for row in rows],
        next_cursor=_next_cursor(rows, query) if len(answer.found) > query.limit else None,
    )
    return Rendered(page).answer(request, answer.position)


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


def _next_cursor(rows: list[BulkRow], query: BulkQuery) -> str:
    return query.cursor_after(rows[-1].requested_at, rows[-1].bulk_id)


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
