"""Lanes: jobs of one queue, priority, tenant, tool and limit key, first in and first out.

Whatever can hold a job back holds back its whole lane, so that a lane is either blocked or its
first job may go: nothing ever has to be looked for among jobs that may not. Only a lane's front is
in memory; the rest stands in Postgres and is fetched when the front runs low.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from processors.gates import Gate


class LaneKey(NamedTuple):
    """What the jobs of a lane have in common."""

    queue: str
    priority: int
    tenant: str
    tool: str
    limit_key: str
    """A blind token; empty for jobs without a limit key."""


@dataclass(slots=True)
class Runnable:
    """A job that a worker may claim."""

    job_id: UUID
    version: int
    """Of the event that queued it; an offer names it."""
    place: int
    since: datetime
    offered_at: float = 0.0
    """On the monotonic scale."""
    sequence: int | None = None
    """Of the offer in the stream READY, once that is known."""
    is_repeated: bool = False
    """Whether it was offered once more because a worker kept the first offer."""


class Lane:
    """One lane; `depth` counts what waits in it, in memory or beyond, but not what is on offer."""

    __slots__ = ("_back", "_heap", "_jobs", "depth", "gates", "key", "reach")

    def __init__(self, key: LaneKey, gates: tuple[Gate, ...] = ()) -> None:
        self.key = key
        self.gates = gates
        """All that may hold it back."""
        self.depth = 0
        self.reach = 0
        """The place up to which all that waits is in memory."""
        self._jobs: dict[UUID, Runnable] = {}
        self._heap: list[tuple[int, UUID]] = []
        self._back: dict[UUID, Runnable] = {}
        """Jobs whose offers came to nothing. They count against limits, so they go first."""

    @property
    def in_memory(self) -> int:
        """How many could be offered without asking Postgres."""
        return len(self._jobs) + len(self._back)

    @property
    def beyond(self) -> int:
        """How many wait in Postgres only."""
        return self.depth - self.in_memory

    @property
    def head(self) -> Runnable | None:
        """The job that goes next."""
        if self._back:
            return next(iter(self._back.values()))
        heap, jobs = self._heap, self._jobs
        while heap:
            place, job_id = heap[0]
            job = jobs.get(job_id)
            if job is not None and job.place == place:
                return job
            heapq.heappop(heap)
        return None

    def add(self, job: Runnable, front_max: int) -> bool:
        """Let a job wait at its place; False if that is beyond the front, in Postgres."""
        is_inside = job.place <= self.reach
        has_room = self.beyond <= 0 and len(self._jobs) < front_max
        self.depth += 1
        if not is_inside and not has_room:
            return False
        self._hold(job)
        return True

    def fill(self, jobs: Iterable[Runnable]) -> None:
        """Take what Postgres holds beyond the reach, in order of place."""
        for job in jobs:
            self._hold(job)

    def correct(self, found: int, wanted: int) -> None:
        """Postgres was asked for `wanted` more and had `found`: so many there are, if fewer."""
        if found < wanted:
            self.depth = self.in_memory

    def pop(self) -> Runnable:
        """Take out the job that goes next; there must be one."""
        job = self.head
        assert job is not None  # noqa: S101
        self.depth -= 1
        if self._back.pop(job.job_id, None) is None:
            heapq.heappop(self._heap)
            del self._jobs[job.job_id]
        return job

    def put_back(self, job: Runnable) -> None:
        """Let a job that was on offer wait again, before those that were not."""
        job.sequence = None
        self.depth += 1
        self._back[job.job_id] = job

    def settle(self, job_id: UUID) -> bool:
        """Let a job that was put back wait at its place; False if that is beyond the front."""
        has_all = self.beyond <= 0
        job = self._back.pop(job_id, None)
        if job is None:
            return True
        if job.place > self.reach and not has_all:
            return False
        self._hold(job)
        return True

    def remove(self, job_id: UUID) -> Runnable | None:
        """A job waits no more; None if it waited beyond the front."""
        self.depth -= 1
        return self._back.pop(job_id, None) or self._jobs.pop(job_id, None)

    def _hold(self, job: Runnable) -> None:
        self._jobs[job.job_id] = job
        heapq.heappush(self._heap, (job.place, job.job_id))
        self.reach = max(self.reach, job.place)
