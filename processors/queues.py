"""The front of each queue, in memory: what may be offered next and what is on offer.

Only the front is held, however long the queue is; the rest stands in Postgres and is fetched when
the front runs low. First in, first out by place; a job that a worker gave up goes before all
others, as its place is older than any that still waits.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID


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


class Queue:
    """One queue's front."""

    def __init__(self, name: str, front_max: int) -> None:
        self.name = name
        self.counted = 0
        """How many jobs waited when Postgres was last asked; matters while it holds more."""
        self.offered: dict[UUID, Runnable] = {}
        self.is_whole = True
        """Whether the front is the whole queue, so that Postgres holds no more."""
        self._front_max = front_max
        self._front: dict[UUID, Runnable] = {}
        self._given_back: dict[UUID, Runnable] = {}
        self._reach = 0

    @property
    def reach(self) -> int:
        """The place up to which the front was filled."""
        return self._reach

    @property
    def waiting(self) -> int:
        """How many could be offered without asking Postgres."""
        return len(self._front) + len(self._given_back)

    @property
    def depth(self) -> int:
        """How many jobs wait, those on offer included; exact while the front is whole."""
        in_memory = self.waiting + len(self.offered)
        return in_memory if self.is_whole else max(in_memory, self.counted)

    @property
    def is_forgettable(self) -> bool:
        """Whether nothing would be lost with it."""
        return self.is_whole and not (self.offered or self._front or self._given_back)

    def add(self, job: Runnable) -> bool:
        """Put a job at the end; False if it is beyond the front and left to Postgres."""
        if not self.is_whole or len(self._front) >= self._front_max:
            self.is_whole = False
            return False
        self._front[job.job_id] = job
        self._reach = job.place
        return True

    def add_first(self, job: Runnable) -> None:
        """Put a job before all others."""
        job.sequence = None
        self._given_back[job.job_id] = job

    def fill(self, jobs: Iterable[Runnable], reach: int, is_all: bool) -> None:
        """Take what Postgres holds beyond the reach, which thereby grows."""
        self._front.update((job.job_id, job) for job in jobs)
        self._reach = reach
        self.is_whole = is_all

    def remove(self, job_id: UUID) -> None:
        """Take a job out, wherever it is."""
        for part in (self.offered, self._front, self._given_back):
            if part.pop(job_id, None) is not None:
                return

    def offer(self, limit: int, now: float) -> list[Runnable]:
        """Put up to `limit` jobs on offer."""
        jobs = list(islice(self._given_back.values(), max(limit, 0)))
        jobs += islice(self._front.values(), max(limit - len(jobs), 0))
        for job in jobs:
            if self._given_back.pop(job.job_id, None) is None:
                del self._front[job.job_id]
            job.offered_at = now
            self.offered[job.job_id] = job
        return jobs

    def offered_before(self, moment: float) -> list[Runnable]:
        """The offers that are older, oldest first."""
        older = []
        for job in self.offered.values():
            if job.offered_at > moment:
                break
            older.append(job)
        return older

    def take_back(self, job: Runnable) -> None:
        """An offer was lost: offer the job again, before all others."""
        if self.offered.pop(job.job_id, None) is not None:
            self.add_first(job)

    def oldest(self) -> datetime | None:
        """Since when the job waits that waits longest, of those in memory."""
        firsts = (
            next(iter(part.values()), None)
            for part in (self.offered, self._given_back, self._front)
        )
        return min((job.since for job in firsts if job is not None), default=None)


class Queues:
    """All queues that have something in memory."""

    def __init__(self, front_max: int) -> None:
        self._front_max = front_max
        self._queues: dict[str, Queue] = {}
        self._queue_of: dict[UUID, Queue] = {}

    def __iter__(self) -> Iterator[Queue]:
        return iter(list(self._queues.values()))

    def named(self, name: str) -> Queue:
        """The queue of that name."""
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = Queue(name, self._front_max)
        return queue

    def add(self, queue_name: str, job: Runnable) -> None:
        """A job was queued."""
        queue = self.named(queue_name)
        if queue.add(job):
            self._queue_of[job.job_id] = queue

    def add_first(self, queue_name: str, job: Runnable) -> None:
        """A job was given up by its worker and is queued at its old place."""
        queue = self.named(queue_name)
        queue.add_first(job)
        self._queue_of[job.job_id] = queue

    def fill(self, queue: Queue, jobs: Sequence[Runnable], is_all: bool) -> None:
        """Take what Postgres holds beyond the reach of a queue, in order of place."""
        # A job that was given up before we had reached its place is here already.
        new = [job for job in jobs if job.job_id not in self._queue_of]
        queue.fill(new, jobs[-1].place if jobs else queue.reach, is_all)
        for job in new:
            self._queue_of[job.job_id] = queue

    def remove(self, job_id: UUID) -> None:
        """A job does not wait any more."""
        queue = self._queue_of.pop(job_id, None)
        if queue is not None:
            queue.remove(job_id)

    def forget_empty(self) -> list[Queue]:
        """Let go of queues that hold nothing."""
        empty = [queue for queue in self if queue.is_forgettable]
        for queue in empty:
            del self._queues[queue.name]
        return empty
