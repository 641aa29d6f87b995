"""Limits of a tool over all tenants, set by whoever has the database; the dispatcher keeps them.

They are facts like a tenant's own limits, of the tenant that nobody can be.
"""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from command_api.handlers.set_limit import SteeredLimit
from command_api.tool_catalogue import FindTools
from events.contracts.limit import LimitScope, limit_id
from events.contracts.tool import tool_id
from events.contracts.values import PLATFORM_TENANT, Origin
from events.domain.errors import LimitNotFound, NotFound, ToolNotFound
from events.domain.limit import Bounds, Limit
from events.domain.tool import Tool
from events.store.repository import DECISIONS_MAX, Repository, StreamConflict
from infrastructure.clock import Clock
from infrastructure.ids import uuid7

ACTOR: Final = "installation"
"""Who acts: no user, but whoever runs the platform."""


class PlatformLimits:
    """The limits of tools that count the jobs of every tenant."""

    def __init__(self, repository: Repository, find_tools: FindTools, clock: Clock) -> None:
        self._repository = repository
        self._find_tools = find_tools
        self._clock = clock

    async def set(self, tool: str, bounds: Bounds) -> SteeredLimit:
        """Let it be the limit of a tool from now on; raises ToolNotFound, LogUnavailable, …."""
        await self._require(tool)
        for _ in range(DECISIONS_MAX):
            limit = await self._limit(tool)
            limit.set(bounds, self._origin())
            try:
                saved = await self._repository.save(limit)
            except StreamConflict:
                continue
            return SteeredLimit(limit.id, saved.position)
        raise StreamConflict(StreamConflict.__doc__)

    async def remove(self, tool: str) -> SteeredLimit:
        """Let there be no such limit; raises LimitNotFound, LogUnavailable, …."""
        at = self._origin()
        try:
            limit, saved = await self._repository.change(
                Limit, _id_of(tool), lambda limit: limit.remove(at)
            )
        except NotFound:
            raise LimitNotFound from None
        return SteeredLimit(limit.id, saved.position)

    async def all(self) -> Sequence[Limit]:
        """The limits that there are, by the names of their tools."""
        found = await asyncio.gather(*(self._found(key) for key in await self._find_tools()))
        return sorted((limit for limit in found if limit is not None), key=lambda it: it.subject)

    async def _found(self, tool_key: UUID) -> Limit | None:
        tool = await self._repository.load(Tool, tool_key)
        try:
            limit = await self._repository.load(Limit, _id_of(tool.name))
        except NotFound:
            return None
        return limit if limit.bounds is not None else None

    async def _require(self, tool: str) -> None:
        try:
            await self._repository.load(Tool, tool_id(tool))
        except NotFound:
            raise ToolNotFound from None

    async def _limit(self, tool: str) -> Limit:
        try:
            return await self._repository.load(Limit, _id_of(tool))
        except NotFound:
            return Limit.introduce(LimitScope.TOOL, tool, None, self._origin())

    def _origin(self) -> Origin:
        command = str(uuid7())
        return Origin(
            tenant=PLATFORM_TENANT,
            actor=ACTOR,
            command_id=command,
            correlation_id=command,
            causation_id=command,
            at=self._clock.now(),
        )


def _id_of(tool: str) -> UUID:
    return limit_id(PLATFORM_TENANT, LimitScope.TOOL, tool)
