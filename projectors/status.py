"""Says where every projection stands, for operators."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from infrastructure.postgres import Connection
from projectors.read_models import live

LIVE: Final = "live"

_CHECKPOINTS: Final = """
SELECT name, generation, position, updated_at FROM read_models.checkpoints
 WHERE shard = 0 ORDER BY name
"""
_GENERATIONS: Final = """
SELECT g.generation, g.state, g.position, g.created_at, g.switched_at,
       (SELECT count(DISTINCT p.aggregate_id) FROM read_models.parked_events p
         WHERE p.projection_group = g.projection_group AND p.generation = g.generation) AS parked
  FROM read_models.generations g ORDER BY g.generation
"""
_HEAD: Final = "SELECT position FROM event_store.event_head WHERE log_id = 1"


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """Where one projection stands."""

    name: str
    generation: int | None
    position: int | None
    """None: it does not answer."""
    lag: int | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class GenerationStatus:
    """One set of tables."""

    generation: int
    state: str
    position: int
    created_at: datetime
    switched_at: datetime | None
    parked: int
    """Aggregates that could not be folded."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where everything stands."""

    head: int
    projections: Sequence[ProjectionStatus]
    generations: Sequence[GenerationStatus]


async def read_status(log: Connection, reads: Connection, redis: Redis) -> Status:
    """Ask the log, the read models and Redis; only Redis may be away."""
    checkpoints = await reads.fetch(_CHECKPOINTS)
    generations = await reads.fetch(_GENERATIONS)
    live_position = await _live_position(redis)
    # Read last, so that no projection seems to be ahead of the log.
    head = int(await log.fetchval(_HEAD))
    projections = [
        ProjectionStatus(
            *(row["name"], row["generation"], row["position"]),
            lag=head - row["position"],
            updated_at=row["updated_at"],
        )
        for row in checkpoints
    ]
    lag = None if live_position is None else head - live_position
    projections.append(ProjectionStatus(LIVE, None, live_position, lag, None))
    return Status(head, projections, [GenerationStatus(*row) for row in generations])


async def _live_position(redis: Redis) -> int | None:
    try:
        position = await redis.get(live.CHECKPOINT)
    except (RedisError, OSError, TimeoutError):
        return None
    return None if position is None else int(position)
