"""What tools offer, shared through a real Redis."""

from redis.asyncio import Redis

from command_api.tool_cache import KEY_PREFIX, SHARED_SECONDS, CachedOffer, OfferCache
from events.contracts.tool import tool_id
from tests.fixtures.command_api import offer

NAME = "no-op"


async def test_the_cache_gives_back_what_was_put(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        cache = OfferCache(redis)
        put = CachedOffer(NAME, 7, offer(version="3"))

        await cache.put(tool_id(NAME), put)

        assert await OfferCache(redis).get(tool_id(NAME)) == put
        assert 0 < await redis.ttl(f"{KEY_PREFIX}{tool_id(NAME)}") <= SHARED_SECONDS
        assert await cache.get(tool_id("other")) is None
        await redis.set(f"{KEY_PREFIX}{tool_id('old')}", b'{"name": "old"}')
        assert await cache.get(tool_id("old")) is None


async def test_a_cache_that_is_away_is_asked_once_and_then_left_alone() -> None:
    async with Redis.from_url("redis://127.0.0.1:1/0") as redis:
        cache = OfferCache(redis)
        put = CachedOffer(NAME, 1, offer())

        assert await cache.get(tool_id(NAME)) is None
        await cache.put(tool_id(NAME), put)

        assert cache._away_until > 0
