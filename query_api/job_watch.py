"""Gives those who watch a job its row as soon as it has changed.

However many watch, one select at a time asks for all of them, after each poke of the projection
and now and then without; it brings only the rows that have changed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final
from uuid import UUID

from infrastructure.batching import Overloaded
from infrastructure.periodic import Counts
from query_api.queries.applied import Applied
from query_api.queries.jobs import JobRow

WATCH_SECONDS_MAX: Final = 30
WATCHERS_MAX: Final = 2_000
POLL_SECONDS: Final = 1.0

Seen = tuple[UUID, int]
"""A job, and the version of it that the watcher has."""
ReadChanged = Callable[[Collection[Seen]], Awaitable[Applied[list[JobRow]]]]
Told = asyncio.Future[Applied[JobRow]]


class JobWatch:
    """The jobs that somebody watches; a ServiceLoop looks after `wake` and now and then."""

    name = "job_watch"

    def __init__(self, read_changed: ReadChanged) -> None:
        self._read_changed = read_changed
        self._watchers: dict[Seen, list[Told]] = {}
        self._count = 0
        self.wake = asyncio.Event()
        self._is_ending = False

    @property
    def is_ending(self) -> bool:
        """Whether the process wants to end, and nobody is told anything more."""
        return self._is_ending

    def poke(self) -> None:
        """Rows may have changed: look soon."""
        if self._watchers:
            self.wake.set()

    async def next_version(
        self, job_id: UUID, version: int, seconds: float
    ) -> Applied[JobRow] | None:
        """The row once it has another version than this; None after so many seconds without."""
        if self._is_ending:
            return None
        if self._count >= WATCHERS_MAX:
            raise Overloaded
        seen: Seen = (job_id, version)
        told: Told = asyncio.get_running_loop().create_future()
        self._watchers.setdefault(seen, []).append(told)
        self._count += 1
        # The row may have changed between the caller's look and now.
        self.wake.set()
        try:
            await asyncio.wait([told], timeout=seconds)
            return told.result() if told.done() and not told.cancelled() else None
        finally:
            told.cancel()
            self._leave(seen, told)

    def end(self) -> None:
        """Send everybody away, now and from now on: the process wants to end."""
        self._is_ending = True
        for watchers in self._watchers.values():
            for told in watchers:
                told.cancel()

    async def start(self) -> None:
        """Nothing has to be opened."""

    async def run_once(self) -> Counts:
        """Look at every watched row once, and tell whom it concerns."""
        if not self._watchers:
            return Counts()
        # A copy: watchers come and go while the select runs.
        changed = await self._read_changed(list(self._watchers))
        rows = {row.job_id: Applied(row, changed.position) for row in changed.found}
        for (job_id, version), watchers in self._watchers.items():
            row = rows.get(job_id)
            if row is None or row.found.version == version:
                continue
            for told in watchers:
                if not told.done():
                    told.set_result(row)
        return Counts(changed=len(rows))

    async def stop(self) -> None:
        """Nothing was opened."""

    def _leave(self, seen: Seen, told: Told) -> None:
        self._count -= 1
        watchers = self._watchers[seen]
        watchers.remove(told)
        if not watchers:
            del self._watchers[seen]
