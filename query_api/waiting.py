"""Reads until the answer reflects a position, or gives up in time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from query_api.errors import ProjectionBehind
from query_api.positions import WAIT_SECONDS_MAX, AppliedPositions
from query_api.queries.applied import Applied

AGAIN_SECONDS: Final = 0.02

T = TypeVar("T")
Names = tuple[str, ...]
Read = Callable[[], Awaitable[Applied[T]]]


async def read_at_least(
    positions: AppliedPositions, projections: Names, position: int, read: Read[T]
) -> Applied[T]:
    """The answer at that position or later; raises ProjectionBehind after WAIT_SECONDS_MAX."""
    answer = await read()
    if answer.position >= position:
        return answer
    return await read_when(positions, projections, position, read)


async def read_when(
    positions: AppliedPositions, projections: Names, position: int, read: Read[T]
) -> Applied[T]:
    """Like `read_at_least`, for a caller who knows that now is too early."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while await positions.wait_for(projections, position, deadline):
        answer = await read()
        if answer.position >= position:
            return answer
        if time.monotonic() > deadline:
            break
        # Only where a rebuilt generation that is behind was just switched in.
        await asyncio.sleep(AGAIN_SECONDS)
    raise ProjectionBehind(min_position=position, applied=positions.lowest(projections))
