"""Says every few seconds that a worker is there, and what it does.

It helps people and decides nothing: whose jobs are rescued is for the leases. A worker that falls
silent is shown no more after a while, and swept away later.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Protocol

import asyncpg
import structlog

from infrastructure.postgres import UNAVAILABLE, Pool
from processors import work_statements as sql

SAY_SECONDS: Final = 5.0
LEAVE_SECONDS_MAX: Final = 2.0
DISTRIBUTION: Final = "magictoolbox"

_CANNOT_SAY: tuple[type[BaseException], ...] = (*UNAVAILABLE, asyncpg.PostgresError, TimeoutError)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Doing:
    """What a worker does at a moment."""

    isolation: str
    is_draining: bool
    sandboxes: int
    sandboxes_busy: int
    inline_slots: int
    inline_busy: int


class Register(Protocol):
    """Where workers are known."""

    async def say(self, worker: str, doing: Doing) -> None:
        """Be there; raises what asyncpg raises."""
        ...

    async def leave(self, worker: str) -> None:
        """Be there no more; raises what asyncpg raises."""
        ...


class PostgresRegister:
    """Workers in `work.workers`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._self = (socket.gethostname(), os.getpid(), version(DISTRIBUTION))

    async def say(self, worker: str, doing: Doing) -> None:
        """See `Register.say`."""
        places = (doing.sandboxes, doing.sandboxes_busy, doing.inline_slots, doing.inline_busy)
        values = (doing.isolation, doing.is_draining, *places)
        await self._pool.execute(sql.SAY_WORKER, worker, *self._self, *values)

    async def leave(self, worker: str) -> None:
        """See `Register.leave`."""
        await self._pool.execute(sql.FORGET_WORKER, worker)


class MemoryRegister:
    """Workers in a dictionary, for simulations."""

    def __init__(self) -> None:
        self.workers: dict[str, Doing] = {}

    async def say(self, worker: str, doing: Doing) -> None:
        """See `Register.say`."""
        self.workers[worker] = doing

    async def leave(self, worker: str) -> None:
        """See `Register.leave`."""
        self.workers.pop(worker, None)


class Presence:
    """The word of one worker."""

    def __init__(self, register: Register, worker: str, doing: Callable[[], Doing]) -> None:
        self._register = register
        self._worker = worker
        self._doing = doing
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Say it anew at once."""
        self._changed.set()

    async def run(self) -> None:
        """Say it until cancelled."""
        while True:
            self._changed.clear()
            try:
                await self._register.say(self._worker, self._doing())
            except _CANNOT_SAY as error:
                log.debug("presence_not_said", error=type(error).__name__)
            except Exception:
                log.exception("presence_broken")
            try:
                async with asyncio.timeout(SAY_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def leave(self) -> None:
        """Say that it is over, if that can be said."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS_MAX):
                await self._register.leave(self._worker)
        except _CANNOT_SAY as error:
            log.debug("leave_not_said", error=type(error).__name__)
