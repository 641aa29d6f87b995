"""The tools that workers offer."""

from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import func, select

from projectors.read_models.tool_catalogue import tool_catalogue
from query_api.queries.applied import Applied
from query_api.reader import Reader, with_applied

PROJECTIONS: Final = ("tool_catalogue",)
TOOLS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class ToolRow:
    """One tool, as workers offered it last."""

    name: str
    version: str
    description: str
    input_formats: list[str]
    output_formats: list[str]
    inputs_min: int
    inputs_max: int
    options_schema: dict[str, Any]
    attempts_max: int
    timeout_seconds: float
    available: bool
    unavailable_reason: str | None
    cacheable: bool
    retry: dict[str, Any] | None


_COLUMNS: Final = tuple(tool_catalogue.c[field.name] for field in fields(ToolRow))
# A tool that was introduced but never offered has nothing to show yet.
_OFFERED: Final = tool_catalogue.c.version != ""
_ALL: Final = with_applied(
    select(*_COLUMNS).where(_OFFERED).order_by(tool_catalogue.c.name).limit(TOOLS_MAX),
    *PROJECTIONS,
)
_AVAILABLE: Final = (
    select(func.count()).select_from(tool_catalogue).where(_OFFERED, tool_catalogue.c.available)
)


async def list_tools(reader: Reader) -> Applied[list[ToolRow]]:
    """Every tool, by name."""
    rows = await reader.rows(_ALL)
    found = [ToolRow(*row[1:]) for row in rows if row[1] is not None]
    return Applied(found, rows[0][0] or 0)


async def count_available(reader: Reader) -> int:
    """How many tools could run now."""
    (count,) = await reader.row(_AVAILABLE)
    return int(count)
