"""Whether the query API can answer: it needs Postgres, and misses the rest without stopping."""

from collections.abc import Mapping
from dataclasses import replace

from redis.exceptions import RedisError

from infrastructure.health import Check, CheckFailed
from query_api.errors import Unavailable
from query_api.queries import tools
from query_api.resources import Resources


def checks(resources: Resources) -> Mapping[str, Check]:
    """The checks by name; `tools` tells how many tools could run now."""

    async def log() -> str | None:
        try:
            return str(await resources.history.head())
        except Unavailable as error:
            raise CheckFailed("unavailable") from error

    async def available_tools() -> str | None:
        try:
            return str(await tools.count_available(resources.reader))
        except Unavailable as error:
            raise CheckFailed("unavailable") from error

    async def redis() -> str | None:
        try:
            await resources.redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise CheckFailed("unavailable") from error
        return None

    return {
        "log": Check(log),
        # Critical for its select, not for its number: no tool is no reason to answer nothing.
        "tools": Check(available_tools),
        "nats": resources.broker.check(critical=False),
        "redis": Check(redis, critical=False),
        "blobs": Check(resources.blobs.check, critical=False),
        **{each.name: replace(each.check, critical=False) for each in resources.services},
    }
