"""The projector process with its real parts, run inside a test: started, drained or killed."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import asyncpg

from events.relay.main import RelaySettings
from events.relay.main import build as build_relay
from infrastructure.process import Running
from projectors.main import build
from projectors.settings import ProjectorSettings

DEADLINE_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02
AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, seconds: float = DEADLINE_SECONDS
) -> None:
    """Wait until it is true, or fail; a server that is away makes it false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if await condition():
                return
        except AWAY:
            pass
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(POLL_SECONDS)


class Process:
    """One process in tasks of this loop."""

    def __init__(self, running: Running, stack: AsyncExitStack) -> None:
        self.running = running
        self._stack = stack
        self._tasks = [asyncio.create_task(service.run()) for service in running.services]

    async def check(self, name: str) -> str | None:
        """Ask one readiness check; raises what it raises."""
        return await self.running.checks[name].probe()

    async def stop(self) -> None:
        """Drain it."""
        for service in self.running.services:
            service.drain()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def kill(self) -> None:
        """End it wherever it is."""
        for task in self._tasks:
            task.cancel()
        await self.stop()


@asynccontextmanager
async def projector(
    database_url: str, nats_url: str, redis_url: str, **settings: Any
) -> AsyncIterator[Process]:
    """A projector that runs until the end of the block."""
    made = ProjectorSettings(
        database_url=database_url, nats_url=nats_url, redis_url=redis_url, **settings
    )
    async with _process(lambda: build(made)) as process:
        yield process


@asynccontextmanager
async def relay(database_url: str, nats_url: str) -> AsyncIterator[Process]:
    """A relay that runs until the end of the block."""
    made = RelaySettings(database_url=database_url, nats_url=nats_url)
    async with _process(lambda: build_relay(made)) as process:
        yield process


@asynccontextmanager
async def _process(make: Callable[[], Any]) -> AsyncIterator[Process]:
    stack = AsyncExitStack()
    process = Process(await stack.enter_async_context(make()), stack)
    try:
        yield process
    finally:
        await process.stop()
