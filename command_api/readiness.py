"""Whether the command API can accept: it needs Postgres, and misses the rest without stopping."""

from collections.abc import Mapping

from redis.exceptions import RedisError

from command_api.resources import Resources
from infrastructure.health import Check, CheckFailed
from infrastructure.postgres import UNAVAILABLE


def checks(resources: Resources) -> Mapping[str, Check]:
    """The checks by name; `tools` tells how many tools jobs could be submitted for."""

    async def log() -> str | None:
        try:
            return str(await resources.log.head())
        except UNAVAILABLE as error:
            raise CheckFailed("unavailable") from error

    async def tools() -> str | None:
        try:
            return str(await resources.catalogue.count())
        except UNAVAILABLE as error:
            raise CheckFailed("unavailable") from error

    async def redis() -> str | None:
        try:
            await resources.redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise CheckFailed("unavailable") from error
        return None

    return {
        "log": Check(log),
        # Critical for its look-up, not for its number: before the first worker there is none.
        "tools": Check(tools),
        # Whoever reads "ready" may log in as the first administrator.
        "accounts": resources.accounts,
        "nats": resources.broker.check(critical=False),
        "redis": Check(redis, critical=False),
        "blobs": Check(resources.blobs.check, critical=False),
        "scanner": Check(resources.scanner.check, critical=False),
    }
