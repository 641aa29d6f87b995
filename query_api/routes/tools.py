"""The catalogue of tools."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from query_api.errors import ToolNotFound
from query_api.links import Links
from query_api.principals import CurrentUser
from query_api.queries import tools
from query_api.queries.applied import Applied
from query_api.queries.tools import ToolRow
from query_api.rendering import Rendered, reads
from query_api.resources import Resources, WithResources
from query_api.routes.parameters import MinPosition
from query_api.views import ToolPage, ToolRetryView, ToolView
from query_api.waiting import read_at_least

CACHE_CONTROL: Final = "private, max-age=10, must-revalidate"

router = APIRouter(prefix="/tools", tags=["tools"])


@reads(router, "", ToolPage)
async def list_tools(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    min_position: MinPosition = 0,
) -> Response:
    """Every tool, with the JSON schema of its options."""
    answer = await _read(resources, min_position)
    page = ToolPage(items=[_view(row, resources.links) for row in answer.found])
    return Rendered(page).answer(request, answer.position, CACHE_CONTROL)


@reads(router, "/{tool}", ToolView)
async def get_tool(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    tool: Annotated[str, Path(max_length=100)],
    min_position: MinPosition = 0,
) -> Response:
    """One tool."""
    answer = await _read(resources, min_position)
    for row in answer.found:
        if row.name == tool:
            view = _view(row, resources.links)
            return Rendered(view).answer(request, answer.position, CACHE_CONTROL)
    raise ToolNotFound


async def _read(resources: Resources, min_position: int) -> Applied[list[ToolRow]]:
    return await read_at_least(
        resources.positions,
        tools.PROJECTIONS,
        min_position,
        lambda: tools.list_tools(resources.reader),
    )


def _view(row: ToolRow, links: Links) -> ToolView:
    return ToolView(
        name=row.name,
        version=row.version,
        description=row.description,
        input_formats=row.input_formats,
        output_formats=row.output_formats,
        inputs_min=row.inputs_min,
        inputs_max=row.inputs_max,
        options_schema=row.options_schema,
        attempts_max=row.attempts_max,
        timeout_seconds=row.timeout_seconds,
        available=row.available,
        unavailable_reason=row.unavailable_reason,
        cacheable=row.cacheable,
        retry=None if row.retry is None else ToolRetryView(**row.retry),
        links=links.tool(row.name),
    )
