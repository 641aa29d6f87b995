"""`magictoolbox limits … --platform`: limits over all tenants, by whoever has the database."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from infrastructure.cli.failures import BadArgument, CommandFailed, Unreachable
from infrastructure.logging import configure_logging
from infrastructure.settings import PostgresSettings

if TYPE_CHECKING:
    from command_api.handlers.platform_limits import PlatformLimits
    from command_api.handlers.set_limit import SteeredLimit
    from events.domain.limit import Limit

T = TypeVar("T")


class NotPossible(CommandFailed):
    """The platform has no such tool or limit."""

    exit_code = 1


def list_limits() -> list[dict[str, Any]]:
    """The limits of tools over all tenants, as the API shows those of a tenant."""
    return [_shown(limit) for limit in _run(lambda limits: limits.all())]


def set_limit(tool: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Limit the jobs of a tool, of all tenants together."""
    from pydantic import ValidationError

    from command_api.queue_bodies import LimitBody

    try:
        body = LimitBody.model_validate({"scope": "tool", "name": tool, **asked})
    except ValidationError as error:
        first = error.errors()[0]
        raise BadArgument(f"{first['loc'][0]}: {first['msg']}") from None
    return _accepted(_run(lambda limits: limits.set(tool, body.bounds)))


def remove_limit(tool: str) -> dict[str, Any]:
    """Limit the jobs of a tool no more, but for limits of single tenants."""
    return _accepted(_run(lambda limits: limits.remove(tool)))


def _shown(limit: "Limit") -> dict[str, Any]:
    bounds = limit.bounds
    return {
        "limit_id": str(limit.id),
        "scope": limit.scope.value,
        "name": limit.subject,
        "concurrency": bounds and bounds.concurrency,
        "rate": bounds and bounds.rate,
        "per_seconds": bounds and bounds.per_seconds,
    }


def _accepted(steered: "SteeredLimit") -> dict[str, Any]:
    return {"limit_id": str(steered.limit_id), "position": steered.position}


def _run(act: Callable[["PlatformLimits"], Awaitable[T]]) -> T:
    from events.domain.errors import DomainError
    from events.store.repository import LogUnavailable, StreamConflict
    from infrastructure.postgres import UNAVAILABLE

    async def run() -> T:
        async with _opened(PostgresSettings()) as limits:
            return await act(limits)

    away: tuple[type[BaseException], ...] = (LogUnavailable, StreamConflict, *UNAVAILABLE)
    configure_logging("limits", "WARNING", out=sys.stderr.buffer)
    try:
        return asyncio.run(run())
    except DomainError as refused:
        raise NotPossible(str(refused)) from None
    except away:
        raise Unreachable("the database cannot be read or written at the moment") from None


@asynccontextmanager
async def _opened(settings: PostgresSettings) -> AsyncIterator["PlatformLimits"]:
    from command_api.handlers.platform_limits import PlatformLimits
    from events.store.introductions import introduced_tools
    from events.store.repository import open_repository
    from infrastructure.clock import SystemClock
    from infrastructure.postgres import Role, create_pool

    pool = await create_pool(settings, Role.COMMAND_API)
    repository = open_repository(settings, Role.COMMAND_API, pool)
    try:
        yield PlatformLimits(repository, lambda: introduced_tools(pool), SystemClock())
    finally:
        await repository.close()
        await pool.close()
