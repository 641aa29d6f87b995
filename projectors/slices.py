"""Cuts the log into slices of aggregates, so that several processes can fold at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from uuid import UUID

from infrastructure.postgres import Connection

SAMPLES_PER_SLICE: Final = 20

_FIRST: Final = UUID(int=0)
_LAST: Final = UUID(int=2**128 - 1)

_SAMPLE: Final = """
SELECT DISTINCT originator_id FROM event_store.stored_events
 WHERE notification_id = ANY($1::bigint[]) ORDER BY originator_id
"""


@dataclass(frozen=True, slots=True)
class Slice:
    """The aggregates with ids after `after`, up to and with `up_to`."""

    after: UUID
    up_to: UUID


EVERYTHING: Final = Slice(_FIRST, _LAST)


async def cut(connection: Connection, events: int, slices: int) -> Sequence[Slice]:
    """Slices of about equal size, by a sample of a log of so many events."""
    wanted = slices * SAMPLES_PER_SLICE
    positions = sorted({1 + events * number // wanted for number in range(wanted)})
    sampled = [row["originator_id"] for row in await connection.fetch(_SAMPLE, positions)]
    step = max(1, len(sampled) // slices)
    bounds = [_FIRST, *(UUID(int=one.int) for one in sampled[step::step][: slices - 1]), _LAST]
    return [Slice(*pair) for pair in pairwise(bounds)]
