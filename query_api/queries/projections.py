"""How far the projections are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select

from projectors.read_models.checkpoints import checkpoints
from query_api.reader import Reader

_LOWEST: Final = (
    select(
        checkpoints.c.name,
        func.min(checkpoints.c.position).label("position"),
        func.min(checkpoints.c.updated_at).label("updated_at"),
    )
    .group_by(checkpoints.c.name)
    .order_by(checkpoints.c.name)
)


@dataclass(frozen=True, slots=True)
class ProjectionRow:
    """One projection; its position is the lowest of its shards."""

    name: str
    position: int
    updated_at: datetime


async def list_projections(reader: Reader) -> list[ProjectionRow]:
    """Every projection, by name."""
    return [ProjectionRow(*row) for row in await reader.rows(_LOWEST)]


async def positions(reader: Reader) -> dict[str, int]:
    """The position of every projection."""
    return {row.name: row.position for row in await list_projections(reader)}
