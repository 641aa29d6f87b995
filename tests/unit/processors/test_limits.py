"""Limits hold in whatever order offers, claims, ends, losses, pauses and takeovers come."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from random import Random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from events.contracts.limit import LimitScope
from events.contracts.values import PLATFORM_TENANT
from processors.gates import Bound, Scope
from processors.lanes import LaneKey, Runnable
from processors.queues import Queues, Rules
from tests.fixtures.events import NOON

RULES = Rules(front_max=1_000, claim_seconds=5.0, ready_floor=6)
TENANTS, TOOLS, KEYS = ("acme", "globex"), ("ocr", "no-op"), ("", "k1", "k2")
LIMITS = {
    Scope("acme", LimitScope.TENANT, ""): Bound(concurrency=2),
    Scope("acme", LimitScope.TOOL, "ocr"): Bound(concurrency=1),
    Scope("globex", LimitScope.TENANT, ""): Bound(rate=7, per_seconds=10.0),
    Scope("globex", LimitScope.KEY, ""): Bound(concurrency=1),
    Scope(PLATFORM_TENANT, LimitScope.TOOL, "no-op"): Bound(concurrency=2),
}
STEPS = 250


class World:
    """A log of jobs, workers that hold offers in their hands, and dispatchers that come and go."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = 1_000.0
        self.place = 0
        self.keys: dict[UUID, LaneKey] = {}
        self.places: dict[UUID, int] = {}
        self.waiting: set[UUID] = set()
        self.running: set[UUID] = set()
        self.hands: dict[UUID, float] = {}
        """Offers that a worker may still claim, and since when they were made."""
        self.paused: set[tuple[str, str]] = set()
        self._take_over(sure_at=0.0)

    def _take_over(self, sure_at: float) -> None:
        self.queues = Queues(RULES, sure_at=sure_at)
        for scope, bound in LIMITS.items():
            self.queues.set_limit(scope, bound, is_new=False)
        for tenant, queue in sorted(self.paused):
            self.queues.set_paused(tenant, queue, True)
        for key in sorted({self.keys[job] for job in self.waiting}):
            mine = sorted((j for j in self.waiting if self.keys[j] == key), key=self.places.get)
            self.queues.stand(key, len(mine), [self._runnable(job) for job in mine])
        for job in sorted(self.running):
            self.queues.run(job, self.keys[job])

    def _runnable(self, job: UUID) -> Runnable:
        return Runnable(job, 1, self.places[job], NOON)

    def submit(self) -> None:
        pick = self.random.choice
        key = LaneKey("default", pick((0, 1, 2)), pick(TENANTS), pick(TOOLS), pick(KEYS))
        for _ in range(pick((1, 2, 3))):
            self.place += 1
            job = UUID(int=self.place)
            self.keys[job], self.places[job] = key, self.place
            self.waiting.add(job)
            self.queues.add(key, self._runnable(job))

    def offer(self, room: int = 0) -> None:
        room = room or self.random.randint(1, 10)
        moment = NOON + timedelta(seconds=self.now)
        self.queues.release_doubtful(self.now)
        for job in self.queues.offer(self.queues.named("default"), room, self.now, moment):
            assert (self.keys[job.job_id].tenant, "default") not in self.paused
            self.hands[job.job_id] = self.now

    def claim(self) -> None:
        hands = sorted(self.hands)
        for job in self.random.sample(hands, self.random.randint(0, len(hands))):
            if self.now - self.hands.pop(job) < RULES.claim_seconds and job in self.waiting:
                self.waiting.discard(job)
                self.running.add(job)
                self.queues.claimed(job, self.keys[job])

    def end(self) -> None:
        for job in self._some(self.running):
            self.running.discard(job)
            self.queues.release(job)
            if self.random.random() < 0.3:
                self.waiting.add(job)
                self.queues.add(self.keys[job], self._runnable(job))

    def cancel(self) -> None:
        for job in self._some(self.waiting):
            self.waiting.discard(job)
            self.queues.cancelled(job, self.keys[job])

    def reprioritise(self) -> None:
        for job in self._some(self.waiting):
            old, priority = self.keys[job], self.random.choice((0, 1, 2))
            self.keys[job] = old._replace(priority=priority)
            self.queues.reprioritised(job, old, self._runnable(job), priority)
        self._withdraw()

    def tidy_up(self) -> None:
        self.queues.forget_empty(self.now)

    def lose(self) -> None:
        """The stream lost an offer; a worker may hold it nevertheless."""
        queue = self.queues.named("default")
        for job in self._some(self.hands):
            if job in queue.offered:
                self.queues.take_back(queue, queue.offered[job])

    def pause_or_resume(self, tenant: str = "") -> None:
        tenant = tenant or self.random.choice(TENANTS)
        is_paused = (tenant, "default") in self.paused
        (self.paused.discard if is_paused else self.paused.add)((tenant, "default"))
        self.queues.set_paused(tenant, "default", not is_paused)
        self._withdraw()

    def _withdraw(self) -> None:
        queue = self.queues.named("default")
        for job in self.queues.to_withdraw(queue):
            self.queues.withdraw(queue, job, self.now)

    def time_passes(self) -> None:
        self.now += self.random.choice((0.5, 1.0, 4.0))

    def another_takes_over(self) -> None:
        """What the old one offered may still be claimed for a while."""
        self._take_over(sure_at=self.now + RULES.claim_seconds)

    def _some(self, jobs: Iterable[UUID]) -> list[UUID]:
        return [job for job in sorted(jobs) if self.random.random() < 0.3]

    def run_dry(self) -> None:
        """Nothing is ever stuck: once all is resumed and time passes, every job runs."""
        for tenant in sorted(self.paused.copy()):
            self.pause_or_resume(tenant[0])
        for _ in range(2 * len(self.waiting) + 3):
            for job in sorted(self.running):
                self.running.discard(job)
                self.queues.release(job)
            self.now += RULES.claim_seconds
            self.hands.clear()
            self._give_up_lost()
            self.offer(100)
            for job in sorted(self.hands):
                self.waiting.discard(job)
                self.running.add(job)
                self.queues.claimed(job, self.keys[job])
            self.no_more_run_than_may()
        assert self.waiting == set()

    def _give_up_lost(self) -> None:
        """What is on offer and in nobody's hands is found to be lost."""
        queue = self.queues.named("default")
        for runnable in list(queue.offered.values()):
            self.queues.take_back(queue, runnable)

    def no_more_run_than_may(self) -> None:
        running: Counter[Scope] = Counter()
        for job in self.running:
            key = self.keys[job]
            running[Scope(key.tenant, LimitScope.TENANT, "")] += 1
            running[Scope(key.tenant, LimitScope.TOOL, key.tool)] += 1
            running[Scope(PLATFORM_TENANT, LimitScope.TOOL, key.tool)] += 1
            if key.limit_key:
                running[Scope(key.tenant, LimitScope.KEY, key.limit_key)] += 1
        assert running[Scope("acme", LimitScope.TENANT, "")] <= 2
        assert running[Scope("acme", LimitScope.TOOL, "ocr")] <= 1
        assert running[Scope(PLATFORM_TENANT, LimitScope.TOOL, "no-op")] <= 2
        for key_name in KEYS[1:]:
            assert running[Scope("globex", LimitScope.KEY, key_name)] <= 1

    def all_that_waits_is_counted(self) -> None:
        depth = sum(load.depth for load in self.queues.loads().values())
        assert depth == len(self.waiting)


LIVES = (
    *(World.submit, World.submit, World.offer, World.offer, World.offer, World.claim),
    *(World.claim, World.end, World.cancel, World.lose, World.pause_or_resume),
    *(World.time_passes, World.another_takes_over, World.reprioritise, World.tidy_up),
)


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_no_limit_is_ever_exceeded_and_nothing_is_ever_stuck(seed: int) -> None:
    world = World(Random(seed))
    for _ in range(STEPS):
        world.random.choice(LIVES)(world)
        world.no_more_run_than_may()
        world.all_that_waits_is_counted()
    world.run_dry()
