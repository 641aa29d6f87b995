"""The dispatcher over a log, tables and a READY in memory, with time moved by hand."""

import asyncio
from collections.abc import Callable

import pytest

from events.contracts.values import SealedText
from events.domain.job import Failure, Job
from events.store.memory import MemoryLog
from events.store.repository import Repository
from processors.dispatcher import Dispatcher
from processors.settings import DispatcherSettings
from processors.work_memory import MemoryWork
from tests.fixtures.events import NOON, origin, submitted_job
from tests.fixtures.work import ManualClock, MemoryReady, OneLead

PERSIST = 0.2
OFFER = 2.0


class Scene:
    """A dispatcher and everything around it."""

    def __init__(self, **settings: object) -> None:
        self.log = MemoryLog()
        self.repository = Repository(self.log, self.log)
        self.work = MemoryWork()
        self.ready = MemoryReady()
        self.lead = OneLead()
        self.clock = ManualClock()
        self.settings = DispatcherSettings(
            **{  # type: ignore[arg-type]
                "persist_seconds": PERSIST,
                "offer_seconds": OFFER,
                "ready_floor": 10_000,
                **settings,
            }
        )
        self.dispatcher = self.another()

    def another(self) -> Dispatcher:
        """A dispatcher on the same log and tables."""
        return Dispatcher(
            self.lead, self.log, self.work, self.ready, self.settings, clock=self.clock
        )

    async def submit(self, count: int = 1, **changes: object) -> list[Job]:
        """Some queued jobs."""
        jobs = [submitted_job(**changes) for _ in range(count)]
        for job in jobs:
            await self.repository.save(job)
        return jobs

    async def then(self, job: Job, decide: Callable[[Job], object]) -> Job:
        """Something happens to a job."""
        changed, _ = await self.repository.change(Job, job.id, decide)
        return changed

    async def claim(self, job: Job) -> Job:
        """A worker claims it."""
        return await self.then(job, lambda job: job.start_attempt("worker:1", "L1", origin()))

    async def settle(self) -> None:
        """Run until everything folded is written."""
        await self.dispatcher.run_once()
        self.clock.move(PERSIST)
        await self.dispatcher.run_once()
        await asyncio.sleep(0)
        await self.dispatcher.run_once()

    def offered(self) -> list[object]:
        """The jobs on offer, in order."""
        return [job.job_id for job in self.ready.offers]


def ids(jobs: list[Job]) -> list[object]:
    return [job.id for job in jobs]


async def test_queued_jobs_are_offered_in_the_order_of_their_submission() -> None:
    scene = Scene()
    jobs = await scene.submit(5)

    await scene.dispatcher.run_once()

    assert scene.offered() == ids(jobs)


async def test_an_offer_is_made_before_its_row_is_written() -> None:
    scene = Scene()
    await scene.submit()

    await scene.dispatcher.run_once()

    assert len(scene.offered()) == 1
    assert scene.work.jobs == {}


async def test_a_job_that_ends_soon_enough_is_never_written() -> None:
    scene = Scene()
    (job,) = await scene.submit()
    await scene.dispatcher.run_once()
    claimed = await scene.claim(job)
    await scene.then(claimed, lambda job: job.succeed(1, [], 1, {}, origin()))

    await scene.settle()

    assert scene.work.position == 3
    assert scene.work.jobs == {}


async def test_ready_stays_short() -> None:
    scene = Scene(ready_depth=3)
    jobs = await scene.submit(10)

    await scene.dispatcher.run_once()
    assert scene.offered() == ids(jobs[:3])

    await scene.claim(jobs[1])
    await scene.dispatcher.run_once()

    assert scene.offered() == ids(jobs[:4])


async def test_every_queue_has_a_ready_of_its_own_depth() -> None:
    scene = Scene(ready_depth=2)
    bulk = await scene.submit(5, queue="bulk")
    urgent = await scene.submit(1, queue="urgent")

    await scene.dispatcher.run_once()

    assert sorted(map(str, scene.offered())) == sorted(map(str, ids([*bulk[:2], *urgent])))


async def test_a_cancelled_job_is_not_offered() -> None:
    scene = Scene(ready_depth=1)
    jobs = await scene.submit(3)
    await scene.dispatcher.run_once()
    await scene.then(jobs[1], lambda job: job.cancel(origin()))

    await scene.claim(jobs[0])
    await scene.dispatcher.run_once()

    assert scene.offered() == ids([jobs[0], jobs[2]])


async def test_a_job_that_is_called_off_between_attempts_is_let_go() -> None:
    """All of it in one batch, of a job that is in the tables already."""
    scene = Scene()
    (job,) = await scene.submit(attempts_max=4)
    await scene.settle()
    claimed = await scene.claim(job)
    failure = Failure("UNLUCKY", SealedText("s1.message"), permanent=False)
    failed = await scene.then(claimed, lambda job: job.fail(1, failure, 1, {}, 0.5, origin()))
    await scene.then(failed, lambda job: job.cancel(origin()))

    await scene.settle()

    assert scene.work.position == 4
    assert scene.work.jobs == {}


async def test_a_scheduled_job_waits_for_its_time() -> None:
    scene = Scene()
    (job,) = await scene.submit(run_at=NOON.replace(year=2030))
    await scene.settle()
    assert scene.offered() == []

    await scene.then(job, lambda job: job.become_due(origin()))
    await scene.dispatcher.run_once()

    assert scene.offered() == [job.id]


async def test_a_job_that_its_worker_gave_up_goes_before_those_that_wait() -> None:
    scene = Scene(ready_depth=1)
    jobs = await scene.submit(3)
    await scene.dispatcher.run_once()
    await scene.claim(jobs[0])
    await scene.settle()
    await scene.then(jobs[0], lambda job: job.hand_back(1, origin()))
    await scene.claim(jobs[1])

    await scene.dispatcher.run_once()

    assert scene.offered() == ids([jobs[0], jobs[1], jobs[0]])


async def test_a_retry_goes_to_the_end_of_its_queue() -> None:
    scene = Scene(ready_depth=1)
    (first,) = await scene.submit(1, queue="slow")
    failure = Failure("TIMEOUT", SealedText("s1.x"), permanent=False)
    await scene.claim(first)
    await scene.then(first, lambda job: job.fail(1, failure, 5, {}, 0.5, origin()))
    await scene.settle()
    (second,) = await scene.submit(1, queue="slow")
    await scene.then(first, lambda job: job.become_due(origin()))

    await scene.dispatcher.run_once()
    assert scene.offered() == [second.id]
    await scene.claim(second)
    await scene.dispatcher.run_once()

    assert scene.offered() == [second.id, first.id]


async def test_a_reopened_job_is_offered_though_its_row_is_gone() -> None:
    scene = Scene()
    (job,) = await scene.submit(queue="slow")
    await scene.then(job, lambda job: job.cancel(origin()))
    await scene.settle()
    assert scene.work.jobs == {}

    await scene.then(job, lambda job: job.reopen(origin()))
    await scene.settle()

    assert scene.offered() == [job.id]
    assert scene.work.jobs[job.id].job.queue == "slow"


async def test_a_lost_offer_is_made_again_after_a_while() -> None:
    scene = Scene()
    jobs = await scene.submit(2)
    await scene.dispatcher.run_once()
    scene.ready.lose_all()

    await scene.dispatcher.run_once()
    assert scene.offered() == []
    scene.clock.move(OFFER)
    await scene.dispatcher.run_once()

    assert scene.offered() == ids(jobs)


async def test_an_offer_that_only_waits_is_not_made_twice() -> None:
    scene = Scene()
    jobs = await scene.submit(2)
    await scene.dispatcher.run_once()

    for _ in range(5):
        scene.clock.move(OFFER)
        await scene.dispatcher.run_once()

    assert scene.offered() == ids(jobs)


async def test_nothing_is_offered_while_nats_is_away() -> None:
    scene = Scene()
    scene.ready.is_reachable = False
    jobs = await scene.submit(2)
    await scene.dispatcher.run_once()
    assert scene.offered() == []

    scene.ready.is_reachable = True
    await scene.dispatcher.run_once()

    assert scene.offered() == ids(jobs)


async def test_a_successor_offers_what_waits_and_folds_on() -> None:
    scene = Scene()
    jobs = await scene.submit(4)
    await scene.settle()
    await scene.claim(jobs[0])
    late = await scene.submit(1)

    successor = scene.another()
    await successor.run_once()

    assert scene.ready.clears == 2, "what the first one offered is taken back"
    assert scene.offered() == ids([*jobs[1:], *late])


async def test_a_long_queue_passes_through_a_short_front() -> None:
    scene = Scene(ready_depth=2, queue_front_max=4)
    jobs = await scene.submit(30)
    claimed: list[Job] = []

    async with asyncio.timeout(30):
        while len(claimed) < len(jobs):
            await scene.dispatcher.run_once()
            for number in range(len(claimed), len(scene.offered())):
                claimed.append(await scene.claim(jobs[number]))

    assert scene.offered() == ids(jobs)


async def test_a_job_cancelled_beyond_the_front_is_never_offered() -> None:
    scene = Scene(ready_depth=2, queue_front_max=4)
    jobs = await scene.submit(12)
    await scene.dispatcher.run_once()
    await scene.then(jobs[10], lambda job: job.cancel(origin()))
    claimed = 0

    async with asyncio.timeout(30):
        while claimed < 11:
            await scene.dispatcher.run_once()
            for job_id in scene.offered()[claimed:]:
                await scene.claim(next(job for job in jobs if job.id == job_id))
                claimed += 1

    assert scene.offered() == ids([*jobs[:10], jobs[11]])


async def test_a_standby_offers_nothing_and_seldom_asks() -> None:
    scene = Scene()
    scene.lead.held = False
    await scene.submit()

    for _ in range(50):
        await scene.dispatcher.run_once()

    assert (scene.offered(), scene.lead.asked) == ([], 1)


async def test_a_standby_takes_over() -> None:
    scene = Scene()
    scene.lead.held = False
    jobs = await scene.submit(2)
    await scene.dispatcher.run_once()

    scene.lead.held = True
    scene.clock.move(1.0)
    await scene.dispatcher.run_once()

    assert scene.offered() == ids(jobs)


async def test_a_lead_that_went_with_its_connection_is_taken_again_at_once() -> None:
    scene = Scene()
    await scene.dispatcher.run_once()
    jobs = await scene.submit(2)

    scene.lead.has_broken = True
    await scene.dispatcher.run_once()

    assert scene.offered() == ids(jobs)


async def test_who_finds_the_checkpoint_moved_begins_anew() -> None:
    scene = Scene()
    jobs = await scene.submit(2)
    await scene.dispatcher.run_once()
    rival = scene.another()
    await rival.run_once()
    await rival.stop()
    scene.ready.offers.clear()

    with pytest.raises(Exception, match="moved the checkpoint"):
        await scene.settle()
    await scene.dispatcher.run_once()

    assert scene.work.position == 2
    assert scene.offered() == ids(jobs)


async def test_a_backlog_is_folded_before_anything_is_offered() -> None:
    scene = Scene(fold_events_max=4)
    jobs = await scene.submit(3)
    for job in jobs[:2]:
        await scene.claim(job)

    counts = await scene.dispatcher.run_once()
    assert (counts.more, scene.offered()) == (True, [])
    await scene.dispatcher.run_once()

    assert scene.offered() == [jobs[2].id]


async def test_stopping_writes_what_was_folded_and_gives_up_the_lead() -> None:
    scene = Scene()
    await scene.submit(3)
    await scene.dispatcher.run_once()

    await scene.dispatcher.stop()

    assert (scene.work.position, len(scene.work.jobs)) == (3, 3)
    assert scene.lead.is_released
