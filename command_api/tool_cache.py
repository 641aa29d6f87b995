"""Shares what tools offer between processes, in Redis; a cache that may be away or empty.

It never raises: after a failure Redis is left alone for a while, so that requests do not wait for
it one by one.
"""

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from events.domain.tool import Offer

SHARED_SECONDS: Final = 60
ANSWER_SECONDS_MAX: Final = 0.25
PAUSE_SECONDS: Final = 5.0
KEY_PREFIX: Final = "magictoolbox:tool:"

_AWAY: Final = (RedisError, OSError, TimeoutError)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CachedOffer:
    """What a tool offers, and at which version of its history."""

    name: str
    version: int
    offer: Offer


class OfferCache:
    """Offers in Redis, by the id of the tool."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._away_until = 0.0

    async def get(self, key: UUID) -> CachedOffer | None:
        """What is cached, if it is there and legible."""
        if time.monotonic() < self._away_until:
            return None
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                cached = await self._redis.get(f"{KEY_PREFIX}{key}")
        except _AWAY as error:
            self._lost(error)
            return None
        return None if cached is None else _decoded(cached)

    async def put(self, key: UUID, offer: CachedOffer) -> None:
        """Cache an offer for a while."""
        if time.monotonic() < self._away_until:
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await self._redis.set(
                    f"{KEY_PREFIX}{key}", orjson.dumps(asdict(offer)), ex=SHARED_SECONDS
                )
        except _AWAY as error:
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        self._away_until = time.monotonic() + PAUSE_SECONDS
        log.warning("tool_cache_away", kind=type(error).__name__)


def _decoded(cached: bytes | str) -> CachedOffer | None:
    try:
        fields: dict[str, Any] = orjson.loads(cached)
        return CachedOffer(fields["name"], fields["version"], Offer(**fields["offer"]))
    except (ValueError, KeyError, TypeError):
        # Written by another release of this software.
        return None
