"""Tells those who watch a job that its row has changed.

However many watch, one small select at a time asks for all of them, after each poke of the
projection and now and then without. The watcher then reads the job itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog

from infrastructure.batching import Overloaded
from query_api.errors import QueryError

WATCH_SECONDS_MAX: Final = 30
WATCHERS_MAX: Final = 2_000
POLL_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)

ReadVersions = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, int]]]
Watcher = tuple[int, asyncio.Future[None]]


class JobWatch:
    """The jobs that somebody watches; `run` must run for anyone to be told."""

    def __init__(self, read_versions: ReadVersions) -> None:
        self._read_versions = read_versions
        self._watchers: dict[UUID, list[Watcher]] = {}
        self._count = 0
        self._look = asyncio.Event()

    def poke(self) -> None:
        """Rows may have changed: look soon."""
        if self._watchers:
            self._look.set()

    async def changed(self, job_id: UUID, version: int, seconds: float) -> None:
        """Return once the row has another version than this, or after so many seconds."""
        if self._count >= WATCHERS_MAX:
            raise Overloaded
        told = asyncio.get_running_loop().create_future()
        watcher = (version, told)
        self._watchers.setdefault(job_id, []).append(watcher)
        self._count += 1
        # The row may have changed between the caller's look and now.
        self._look.set()
        try:
            await asyncio.wait([told], timeout=seconds)
        finally:
            told.cancel()
            self._leave(job_id, watcher)

    async def run(self) -> None:
        """Look after each poke, and every POLL_SECONDS while there are watchers."""
        while True:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._look.wait()
            except TimeoutError:
                if not self._watchers:
                    continue
            self._look.clear()
            try:
                self._tell(await self._read_versions(list(self._watchers)))
            except QueryError as error:
                log.debug("versions_not_read", error=str(error))
                await asyncio.sleep(POLL_SECONDS)

    def _tell(self, versions: Mapping[UUID, int]) -> None:
        for job_id, version in versions.items():
            for seen, told in self._watchers.get(job_id, ()):
                if seen != version and not told.done():
                    told.set_result(None)

    def _leave(self, job_id: UUID, watcher: Watcher) -> None:
        self._count -= 1
        watchers = self._watchers[job_id]
        watchers.remove(watcher)
        if not watchers:
            del self._watchers[job_id]
