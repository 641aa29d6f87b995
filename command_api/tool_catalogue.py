"""Knows what each tool offers, as its aggregate says, without a round trip for most requests.

Three places are asked in turn: this process, Redis, the log. A new offer is heard of over NATS and
makes older knowledge invalid at once; without NATS it shows after `SHARED_SECONDS` at the latest,
without Redis every process reads the log a little more often. Nothing here imports a tool.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

from nats.aio.msg import Msg

from command_api.tool_cache import CachedOffer, OfferCache
from events.contracts.subjects import HEADER_AGGREGATE, HEADER_VERSION, events_of
from events.contracts.tool import ToolOffered, tool_id
from events.contracts.values import PLATFORM_TENANT
from events.domain.errors import NotFound, ToolNotFound
from events.domain.tool import Tool
from events.store.repository import Repository
from infrastructure.broker import Broker

FRESH_SECONDS: Final = 5.0
UNKNOWN_SECONDS: Final = 1.0
"""How long a name is believed to be nobody's."""
COUNT_SECONDS: Final = 1.0
NAMES_REMEMBERED_MAX: Final = 2_000

_id_of = lru_cache(maxsize=NAMES_REMEMBERED_MAX)(tool_id)

FindTools = Callable[[], Awaitable[Sequence[UUID]]]


@dataclass(frozen=True, slots=True)
class _Known:
    offer: CachedOffer | None
    fresh_until: float


class ToolCatalogue:
    """The tools of this platform."""

    def __init__(
        self,
        repository: Repository,
        cache: OfferCache,
        find_tools: FindTools,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repository = repository
        self._cache = cache
        self._find_tools = find_tools
        self._now = now
        self._known: OrderedDict[UUID, _Known] = OrderedDict()
        self._asking: dict[UUID, asyncio.Task[_Known]] = {}
        self._heard: dict[UUID, int] = {}
        self._count = (0, 0.0)

    async def offer(self, name: str) -> CachedOffer:
        """What the tool of this name offers; raises ToolNotFound, LogUnavailable."""
        key = _id_of(name)
        known = self._known.get(key)
        if known is None or known.fresh_until <= self._now():
            known = await self._renewed(key)
        if known.offer is None:
            raise ToolNotFound
        return known.offer

    async def count(self) -> int:
        """How many tools there are; raises what asking the log raises."""
        count, fresh_until = self._count
        if fresh_until <= self._now():
            count = len(await self._find_tools())
            self._count = (count, self._now() + COUNT_SECONDS)
        return count

    async def listen(self, broker: Broker) -> None:
        """Hear of new offers from now on."""
        await broker.subscribe(events_of(ToolOffered.TOPIC, PLATFORM_TENANT), self._hear)

    def heard(self, key: UUID, version: int) -> None:
        """Somebody recorded this version of a tool: what is older does not count any more."""
        self._heard[key] = max(version, self._heard.get(key, 0))
        known = self._known.get(key)
        if known is not None and (known.offer is None or known.offer.version < version):
            del self._known[key]

    def _hear(self, message: Msg) -> None:
        headers = message.headers or {}
        if HEADER_AGGREGATE in headers and HEADER_VERSION in headers:
            self.heard(UUID(headers[HEADER_AGGREGATE]), int(headers[HEADER_VERSION]))

    async def _renewed(self, key: UUID) -> _Known:
        """Ask once, however many want to know."""
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._renew(key), name="tool look-up")
            asking.add_done_callback(lambda asked: self._asked(key, asked))
        return await asyncio.shield(asking)

    def _asked(self, key: UUID, asked: asyncio.Task[_Known]) -> None:
        del self._asking[key]
        if not asked.cancelled():
            # Whoever waited has been told; if all have gone, nobody else needs to know.
            asked.exception()

    async def _renew(self, key: UUID) -> _Known:
        offer = await self._look_up(key)
        old = self._known.get(key)
        if old is not None and old.offer == offer:
            # The same object, so that what was compiled from it is found again.
            offer = old.offer
        known = self._known[key] = _Known(offer, self._now() + self._seconds(key, offer))
        self._known.move_to_end(key)
        if len(self._known) > NAMES_REMEMBERED_MAX:
            self._known.popitem(last=False)
        return known

    def _seconds(self, key: UUID, offer: CachedOffer | None) -> float:
        if offer is None:
            return UNKNOWN_SECONDS
        # A newer one was recorded while the log was read: this one is outdated already.
        return 0.0 if offer.version < self._heard.get(key, 0) else FRESH_SECONDS

    async def _look_up(self, key: UUID) -> CachedOffer | None:
        cached = await self._cache.get(key)
        if cached is not None and cached.version >= self._heard.get(key, 0):
            return cached
        try:
            tool = await self._repository.load(Tool, key)
        except NotFound:
            return None
        if tool.offered is None:
            return None
        offer = CachedOffer(tool.name, tool.version, tool.offered)
        await self._cache.put(key, offer)
        return offer
