"""Tells the log what tools this worker has, where that is news.

Neither API imports a tool: they know of it from here. Several workers that start at once try the
same; who is late finds that it was said already.
"""

from dataclasses import asdict
from typing import Final

import structlog

from events.contracts.tool import tool_id
from events.contracts.values import PLATFORM_TENANT, Origin
from events.domain.errors import NotFound
from events.domain.tool import Offer, Tool
from events.store.repository import Repository, StreamConflict
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from processors.tools.registry import Registry, ToolOffer

RACES_MAX: Final = 20

log = structlog.get_logger(__name__)

_NOT_OFFERED: Final = frozenset({"name", "trusted"})


class ToolOffers:
    """Offers the tools of one worker."""

    def __init__(self, repository: Repository, worker: str, clock: Clock) -> None:
        self._repository = repository
        self._worker = worker
        self._clock = clock

    async def offer(self, registry: Registry) -> int:
        """Offer every tool; returns how many offers were news. Raises LogUnavailable."""
        news = [await self._offer(offer) for offer in registry.offers()]
        return sum(news)

    async def _offer(self, offered: ToolOffer) -> bool:
        fields = {k: v for k, v in asdict(offered).items() if k not in _NOT_OFFERED}
        for _ in range(RACES_MAX):
            tool = await self._tool(offered.name)
            is_news = tool.offer(Offer(**fields), self._origin())
            try:
                await self._repository.save(tool)
            except StreamConflict:
                continue
            if is_news:
                log.info("tool_offered", tool_id=offered.name, version=offered.version)
            return is_news
        raise StreamConflict(StreamConflict.__doc__)

    async def _tool(self, name: str) -> Tool:
        try:
            return await self._repository.load(Tool, tool_id(name))
        except NotFound:
            return Tool.introduce(name, self._origin())

    def _origin(self) -> Origin:
        return Origin(
            tenant=PLATFORM_TENANT,
            actor=f"worker:{self._worker}",
            command_id=str(uuid7()),
            correlation_id=self._worker,
            causation_id=self._worker,
            at=self._clock.now(),
        )
