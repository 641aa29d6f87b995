"""The catalogue: few questions, and no offer that is older than what was heard."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
from redis.asyncio import Redis

from command_api.tool_cache import CachedOffer, OfferCache
from command_api.tool_catalogue import (
    COUNT_SECONDS,
    FRESH_SECONDS,
    UNKNOWN_SECONDS,
    ToolCatalogue,
)
from events.contracts.envelope import RecordedRow
from events.contracts.tool import tool_id
from events.domain.errors import ToolNotFound
from events.domain.tool import Tool
from events.store.memory import MemoryLog
from events.store.repository import Repository
from tests.fixtures.command_api import offer, worker_origin

NAME = "no-op"


class CountingLog(MemoryLog):
    """Counts the histories that were read."""

    reads = 0

    async def read_streams(self, ids: Sequence[UUID]) -> dict[UUID, list[RecordedRow]]:
        """Count and read."""
        self.reads += len(ids)
        return await super().read_streams(ids)


class MemoryCache(OfferCache):
    """A cache in memory."""

    def __init__(self) -> None:
        super().__init__(Redis())
        self.offers: dict[UUID, CachedOffer] = {}

    async def get(self, key: UUID) -> CachedOffer | None:
        """What was put."""
        return self.offers.get(key)

    async def put(self, key: UUID, offer: CachedOffer) -> None:
        """Keep it."""
        self.offers[key] = offer


class World:
    """A log with a tool, a cache, and a catalogue whose time is moved by hand."""

    def __init__(self) -> None:
        self.log = CountingLog()
        self.repository = Repository(self.log, self.log)
        self.cache = MemoryCache()
        self.seconds = 0.0
        self.catalogue = self.another_process()

    def another_process(self) -> ToolCatalogue:
        """A catalogue on the same log and cache."""

        async def find_tools() -> list[UUID]:
            self.log.reads += 1
            return [tool_id(NAME)]

        return ToolCatalogue(self.repository, self.cache, find_tools, now=lambda: self.seconds)

    async def introduce(self, version: str = "1") -> None:
        """A worker offers the tool."""
        tool = Tool.introduce(NAME, worker_origin("platform"))
        tool.offer(offer(version=version), worker_origin("platform"))
        await self.repository.save(tool)

    async def offer(self, version: str) -> None:
        """A worker offers another version."""

        def decide(tool: Tool) -> None:
            tool.offer(offer(version=version), worker_origin("platform"))

        await self.repository.change(Tool, tool_id(NAME), decide)


@pytest.fixture
def world() -> World:
    """A world without tools."""
    return World()


async def test_many_who_ask_at_once_read_the_log_once(world: World) -> None:
    await world.introduce()

    offers = await asyncio.gather(*(world.catalogue.offer(NAME) for _ in range(50)))

    assert {each.offer.version for each in offers} == {"1"}
    assert world.log.reads == 1


async def test_a_fresh_offer_is_not_asked_for_again_and_a_stale_one_keeps_its_identity(
    world: World,
) -> None:
    await world.introduce()
    first = await world.catalogue.offer(NAME)
    world.cache.offers.clear()
    second = await world.catalogue.offer(NAME)
    world.seconds += FRESH_SECONDS
    third = await world.catalogue.offer(NAME)

    assert world.log.reads == 2
    assert first is second
    # Or else its validator would be compiled anew every few seconds.
    assert third is first


async def test_another_process_finds_the_offer_in_the_cache(world: World) -> None:
    await world.introduce()
    await world.catalogue.offer(NAME)

    found = await world.another_process().offer(NAME)

    assert found.offer == offer(version="1")
    assert world.log.reads == 1


async def test_an_unknown_tool_is_believed_to_be_unknown_for_a_moment(world: World) -> None:
    for _ in range(3):
        with pytest.raises(ToolNotFound):
            await world.catalogue.offer(NAME)
    assert world.log.reads == 1

    await world.introduce()
    world.seconds += UNKNOWN_SECONDS

    assert (await world.catalogue.offer(NAME)).name == NAME


async def test_what_was_heard_makes_older_knowledge_invalid_everywhere(world: World) -> None:
    await world.introduce("1")
    await world.catalogue.offer(NAME)
    await world.offer("2")

    world.catalogue.heard(tool_id(NAME), 3)

    # The cache still holds the old one, put there by a process that has not heard yet.
    assert world.cache.offers[tool_id(NAME)].offer.version == "1"
    assert (await world.catalogue.offer(NAME)).offer.version == "2"


async def test_what_was_heard_late_or_twice_changes_nothing(world: World) -> None:
    await world.introduce("1")
    known = await world.catalogue.offer(NAME)

    world.catalogue.heard(tool_id(NAME), known.version)
    world.catalogue.heard(tool_id(NAME), known.version - 1)

    assert await world.catalogue.offer(NAME) is known
    assert world.log.reads == 1


async def test_without_hearing_an_offer_is_renewed_when_cache_and_freshness_are_over(
    world: World,
) -> None:
    await world.introduce("1")
    await world.catalogue.offer(NAME)
    await world.offer("2")
    world.cache.offers.clear()
    world.seconds += FRESH_SECONDS

    assert (await world.catalogue.offer(NAME)).offer.version == "2"


async def test_a_tool_that_was_introduced_and_never_offered_is_unknown(world: World) -> None:
    await world.repository.save(Tool.introduce(NAME, worker_origin("platform")))

    with pytest.raises(ToolNotFound):
        await world.catalogue.offer(NAME)


async def test_the_count_is_asked_for_at_most_once_a_second(world: World) -> None:
    assert [await world.catalogue.count() for _ in range(3)] == [1, 1, 1]
    assert world.log.reads == 1

    world.seconds += COUNT_SECONDS

    assert await world.catalogue.count() == 1
    assert world.log.reads == 2
