"""What may be offered next and what is on offer, in memory: queues, their lanes and their gates.

Only the front of each lane is held, however long it is; the rest stands in Postgres. Which lane
goes next is for `turns`, which may not go for `gates`. What is held against limits is counted job
by job, from the offer to the end, so that a lost offer or a late claim changes no count.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final
from uuid import UUID

from processors.gates import Bound, Gate, Gates, Scope
from processors.lanes import Lane, LaneKey, Runnable
from processors.pace import Pace
from processors.turns import Turns

LANES_MAX: Final = 20_000
"""What waits in further lanes is left to Postgres until there is room."""
FRONTS_MAX: Final = 100_000
"""Jobs in all fronts together."""
FRONT_MIN: Final = 4
"""However many lanes there are, so many jobs of each may be in memory."""


@dataclass(frozen=True, slots=True)
class Rules:
    """By what the queues go."""

    front_max: int = 4_000
    ready_floor: int = 8
    ready_depth: int = 512
    ready_seconds: float = 0.15
    aging_seconds: float = 30.0
    claim_seconds: float = 5.0
    """After so long a job whose offer was taken back cannot be claimed any more."""


@dataclass(slots=True)
class Load:
    """How much waits in a queue, and since when."""

    depth: int
    oldest: datetime | None = None


class Queue:
    """One queue: the lanes that may go, and what is on offer."""

    def __init__(self, name: str, rules: Rules) -> None:
        self.name = name
        self.offered: dict[UUID, Runnable] = {}
        self.turns = Turns(rules.aging_seconds)
        self.pace = Pace(rules.ready_floor, rules.ready_depth, rules.ready_seconds)

    def room(self, now: float) -> int:
        """How many more jobs should be on offer."""
        return self.pace.depth(now) - len(self.offered)

    def offered_before(self, moment: float) -> list[Runnable]:
        """The offers that are older, oldest first."""
        older = []
        for job in self.offered.values():
            if job.offered_at > moment:
                break
            older.append(job)
        return older


class Queues:
    """All queues that have something in memory."""

    def __init__(self, rules: Rules, *, sure_at: float = 0.0) -> None:
        """Before `sure_at` (monotonic) jobs may be claimed that a predecessor offered."""
        self.rules = rules
        self.gates = Gates(rules.aging_seconds, sure_at)
        self.has_overflown = False
        """Whether there are lanes that are not in memory."""
        self.has_passed_on = False
        """Whether the last offer let lanes of another queue go."""
        self._queues: dict[str, Queue] = {}
        self._lanes: dict[LaneKey, Lane] = {}
        self._lane_of: dict[UUID, Lane] = {}
        """Of the jobs that wait in memory or are on offer."""
        self._held: dict[UUID, Lane] = {}
        """Of the jobs that count against limits."""
        self._doubtful: deque[tuple[float, UUID]] = deque()
        """Jobs whose offer was taken back, and until when they count nevertheless."""
        self._moved: dict[UUID, int] = {}
        """Jobs on offer that were given another priority since, and which."""

    def __iter__(self) -> Iterator[Queue]:
        return iter(list(self._queues.values()))

    @property
    def offers(self) -> int:
        """How many jobs are on offer."""
        return sum(len(queue.offered) for queue in self._queues.values())

    def named(self, name: str) -> Queue:
        """The queue of that name."""
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = Queue(name, self.rules)
        return queue

    @property
    def front_max(self) -> int:
        """How many jobs of one lane may be in memory."""
        share = FRONTS_MAX // max(len(self._lanes), 1)
        return min(self.rules.front_max, max(share, FRONT_MIN))

    # -- what happens to jobs -------------------------------------------------------------------

    def __len__(self) -> int:
        """How many lanes are in memory."""
        return len(self._lanes)

    def knows(self, job_id: UUID) -> bool:
        """Whether it is known to which lane a job belongs."""
        return job_id in self._lane_of or job_id in self._held

    def add(self, key: LaneKey, job: Runnable) -> None:
        """A job was queued, or queued again, at its place."""
        self.release(job.job_id)
        lane = self._lanes.get(key) or self._new_lane(key)
        if lane is None:
            return
        before = lane.head
        if lane.add(job, self.front_max):
            self._lane_of[job.job_id] = lane
            if before is None or job.place < before.place:
                self._enter(lane)

    def claimed(self, job_id: UUID, key: LaneKey | None) -> None:
        """A worker took a job; `key` is needed of one that is not known."""
        lane = self._lane_of.get(job_id)
        if lane is not None and job_id in self._queues[lane.key.queue].offered:
            self._queues[lane.key.queue].pace.claimed()
        lane = self._out(job_id, key)
        if lane is not None:
            self._hold(job_id, lane, is_start=True)

    def cancelled(self, job_id: UUID, key: LaneKey | None) -> None:
        """A job was called off; `key` is given if it waited and is not known."""
        self._out(job_id, key)
        self.release(job_id)

    def release(self, job_id: UUID) -> None:
        """A job counts against no limit any more."""
        lane = self._held.pop(job_id, None)
        if lane is not None:
            self.gates.give(lane)

    def reprioritised(self, job_id: UUID, old: LaneKey, job: Runnable, priority: int) -> None:
        """A job that waits goes on in another lane; one on offer does once it waits again."""
        if job_id in self.named(old.queue).offered:
            self._moved[job_id] = priority
            return
        self._out(job_id, old)
        key = old._replace(priority=priority)
        if job_id in self._held:
            # Its offer was lost or taken back: it still counts, and still goes first.
            self._put_back(job, key)
        else:
            self.add(key, job)

    def _out(self, job_id: UUID, key: LaneKey | None) -> Lane | None:
        """A job waits no more, wherever it did."""
        self._moved.pop(job_id, None)
        lane = self._lane_of.pop(job_id, None)
        if lane is None:
            if key is None:
                return self._held.get(job_id)
            lane = self._lanes.get(key)
            if lane is not None and lane.beyond > 0:
                lane.remove(job_id)
            return lane or Lane(key, self.gates.of(key))
        if self._queues[lane.key.queue].offered.pop(job_id, None) is None:
            lane.remove(job_id)
            self._enter(lane)
        return lane

    def _hold(self, job_id: UUID, lane: Lane, *, is_start: bool) -> None:
        if job_id in self._held:
            return
        self._held[job_id] = lane
        for gate in lane.gates:
            gate.held += 1
            if is_start:
                gate.spend()

    # -- offering -------------------------------------------------------------------------------

    def offer(self, queue: Queue, limit: int, now: float, moment: datetime) -> list[Runnable]:
        """Put up to `limit` jobs of a queue on offer: those whose turn it is."""
        jobs: list[Runnable] = []
        while len(jobs) < limit:
            lane = queue.turns.next(moment)
            if lane is None:
                if not self._let_go(queue, now, moment):
                    break
                continue
            gate = self._shut(lane, now) if lane.gates else None
            if gate is not None:
                self.gates.park(lane, gate, now)
                continue
            jobs.append(self._offer(queue, lane, now))
        return jobs

    def _let_go(self, queue: Queue, now: float, moment: datetime) -> bool:
        """Let parked lanes go for which there is room; whether any are of this queue."""
        let_go = self.gates.let_go(now, moment)
        for lane in let_go:
            self._enter(lane)
        self.has_passed_on |= any(lane.key.queue != queue.name for lane in let_go)
        return len(queue.turns) > 0

    def _shut(self, lane: Lane, now: float) -> Gate | None:
        head = lane.head
        return self.gates.shut(lane, now, is_counted=head is not None and head.job_id in self._held)

    def _offer(self, queue: Queue, lane: Lane, now: float) -> Runnable:
        job = lane.pop()
        queue.turns.enter(lane)
        self._hold(job.job_id, lane, is_start=True)
        job.offered_at = now
        queue.offered[job.job_id] = job
        return job

    def take_back(self, queue: Queue, job: Runnable) -> None:
        """An offer came to nothing: the job waits again, at its place. It counts against limits.

        It goes out again, or is claimed under the lost offer; either way it is counted once.
        """
        if queue.offered.pop(job.job_id, None) is not None:
            key = self._lane_of[job.job_id].key
            priority = self._moved.pop(job.job_id, key.priority)
            self._put_back(job, key._replace(priority=priority))

    def _put_back(self, job: Runnable, key: LaneKey) -> None:
        lane = self._lanes.get(key)
        if lane is None:
            # It was forgotten while nothing waited in it.
            self.named(key.queue)
            lane = self._lanes[key] = Lane(key, self.gates.of(key))
        self._lane_of[job.job_id] = lane
        lane.put_back(job)
        self._enter(lane)

    def withdraw(self, queue: Queue, job: Runnable, now: float) -> None:
        """An offer was taken back by us; a worker may have it in its hands for a moment more."""
        if job.job_id in queue.offered:
            self.take_back(queue, job)
            self._doubtful.append((now + self.rules.claim_seconds, job.job_id))

    def release_doubtful(self, now: float) -> None:
        """Count no more what was taken back long ago and waits."""
        while self._doubtful and self._doubtful[0][0] <= now:
            _, job_id = self._doubtful.popleft()
            lane = self._lane_of.get(job_id)
            if lane is not None and job_id not in self._queues[lane.key.queue].offered:
                self.release(job_id)
                if not lane.settle(job_id):
                    del self._lane_of[job_id]
                self._enter(lane)

    def to_withdraw(self, queue: Queue) -> list[Runnable]:
        """What is on offer although its queue was paused, or its priority lowered.

        A job whose priority was raised stays on offer: nothing could overtake what is there before.
        """
        lane_of, gates, moved = self._lane_of, self.gates, self._moved
        if not gates.has_pauses and not moved:
            return []
        return [
            job
            for job in queue.offered.values()
            if gates.is_paused((key := lane_of[job.job_id].key).tenant, queue.name)
            or moved.get(job.job_id, key.priority) < key.priority
        ]

    def next_in(self, now: float) -> float | None:
        """In how many seconds something may change without a new event."""
        doubtful = max(self._doubtful[0][0] - now, 0.0) if self._doubtful else None
        waits = [each for each in (doubtful, self.gates.next_in(now)) if each is not None]
        return min(waits, default=None)

    # -- gates ----------------------------------------------------------------------------------

    def set_limit(self, scope: Scope, bound: Bound | None, *, is_new: bool = True) -> None:
        """Let this be the limit; None: let there be none."""
        if bound is None:
            self.gates.remove_limit(scope)
        else:
            self.gates.set_limit(scope, bound, is_new=is_new)
        self._gates_changed()

    def set_paused(self, tenant: str, queue: str, is_paused: bool) -> None:
        """Stop a tenant's queue, or let it go on."""
        if is_paused:
            self.gates.pause(tenant, queue)
        else:
            self.gates.resume(tenant, queue)
        self._gates_changed()

    def _gates_changed(self) -> None:
        """Gates come and go seldom: look at every lane anew."""
        for queue in self._queues.values():
            queue.turns = Turns(self.rules.aging_seconds)
        self.gates.clear_parked()
        for lane in dict.fromkeys((*self._lanes.values(), *self._held.values())):
            lane.gates = self.gates.of(lane.key)
        self.gates.count_anew(self._held.values())
        for lane in self._lanes.values():
            self._enter(lane)

    # -- what stands in Postgres ----------------------------------------------------------------

    def stand(self, key: LaneKey, depth: int, jobs: Sequence[Runnable]) -> None:
        """Take up a lane as the tables have it."""
        lane = self._lanes.get(key) or self._new_lane(key)
        if lane is not None:
            lane.depth = depth
            lane.fill(jobs)
            self._take_in(lane, jobs)

    def run(self, job_id: UUID, key: LaneKey) -> None:
        """Take up a job that is running."""
        lane = self._lanes.get(key) or Lane(key, self.gates.of(key))
        self._hold(job_id, lane, is_start=False)

    def fill(self, lane: Lane, jobs: Sequence[Runnable], wanted: int) -> None:
        """Take what Postgres holds beyond the reach of a lane, which was asked for `wanted`."""
        new = [job for job in jobs if job.job_id not in self._lane_of]
        lane.fill(new)
        lane.correct(len(jobs), wanted)
        self._take_in(lane, new)

    def low(self) -> list[Lane]:
        """The lanes of which more should be fetched."""
        low = self.front_max // 4
        return [lane for lane in self._lanes.values() if lane.beyond > 0 and lane.in_memory <= low]

    def forget_empty(self, now: float) -> list[str]:
        """Let go of lanes in which nothing waits, and of queues without any; tells their names."""
        for key, lane in list(self._lanes.items()):
            if lane.depth <= 0:
                del self._lanes[key]
        busy = {key.queue for key in self._lanes}
        self.gates.forget_idle({*self._lanes.values(), *self._held.values()}, now)
        gone = [q.name for q in self if q.name not in busy and not q.offered]
        for name in gone:
            del self._queues[name]
        return gone

    def loads(self) -> dict[str, Load]:
        """What waits in each queue, what is on offer included."""
        found = {queue.name: Load(len(queue.offered)) for queue in self}
        jobs = [(q.name, job) for q in self for job in islice(q.offered.values(), 1)]
        for lane in self._lanes.values():
            found[lane.key.queue].depth += lane.depth
            if lane.head is not None:
                jobs.append((lane.key.queue, lane.head))
        for name, job in jobs:
            oldest = found[name].oldest
            found[name].oldest = job.since if oldest is None else min(job.since, oldest)
        return found

    def _take_in(self, lane: Lane, jobs: Sequence[Runnable]) -> None:
        for job in jobs:
            self._lane_of[job.job_id] = lane
        self._enter(lane)

    def _new_lane(self, key: LaneKey) -> Lane | None:
        if len(self._lanes) >= LANES_MAX:
            self.has_overflown = True
            return None
        self.named(key.queue)
        lane = self._lanes[key] = Lane(key, self.gates.of(key))
        return lane

    def _enter(self, lane: Lane) -> None:
        self.named(lane.key.queue).turns.enter(lane)
