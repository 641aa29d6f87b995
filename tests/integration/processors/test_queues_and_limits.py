"""Turns, priorities, pauses and limits, from the log to the claim, on real servers."""

from uuid import UUID

from events.contracts.limit import LimitScope
from events.contracts.queue import queue_id
from events.contracts.subjects import READY_STREAM
from events.contracts.values import PLATFORM_TENANT, JobStatus
from events.domain.limit import Bounds, Limit
from events.domain.queue import Queue
from tests.factories.tools import Gate
from tests.fixtures.events import origin
from tests.integration.processors.floor import Floor

SUCCEEDED = JobStatus.SUCCEEDED


async def test_one_job_is_not_behind_thousands_of_another_tenant(floor: Floor) -> None:
    many = [await floor.submit(tenant="acme") for _ in range(300)]
    lone = await floor.submit(tenant="globex")
    await floor.dispatcher(ready_floor=4, ready_depth=8)

    await floor.worker(inline_slots=2, worker_slots=1)

    await floor.until_status(lone, SUCCEEDED)
    for job in many:
        await floor.until_status(job, SUCCEEDED)
    started = await started_jobs(floor)
    # The second to go, give or take what may be on offer at one time.
    assert started.index(lone.id) <= 2 * 8


async def test_a_higher_priority_goes_first(floor: Floor) -> None:
    bulk = [await floor.submit() for _ in range(60)]
    urgent = await floor.submit(job_priority=10)
    await floor.dispatcher(ready_floor=4, ready_depth=4)

    await floor.worker(inline_slots=1, worker_slots=1)

    for job in [*bulk, urgent]:
        await floor.until_status(job, SUCCEEDED)
    assert (await started_jobs(floor)).index(urgent.id) <= 2 * 4


async def test_a_paused_queue_stands_still_through_a_change_of_dispatchers(floor: Floor) -> None:
    first = await floor.dispatcher()
    waiting = [await floor.submit(job_queue="bulk") for _ in range(10)]
    await are_offered(floor, 10)

    await floor.repository.save(paused("bulk"))
    await are_offered(floor, 0)
    await first.cut()
    await floor.dispatcher()
    other = await floor.submit()
    await floor.worker()
    await floor.until_status(other, SUCCEEDED)
    assert await started_jobs(floor) == [other.id]

    await floor.repository.change(
        Queue, queue_id("acme", "bulk"), lambda queue: queue.resume(origin())
    )
    for job in waiting:
        await floor.until_status(job, SUCCEEDED)


async def test_no_more_run_at_once_than_a_limit_lets(floor: Floor, gate: type[Gate]) -> None:
    limit = Limit.introduce(LimitScope.TOOL, "gate", None, origin())
    limit.set(Bounds(concurrency=2), origin())
    await floor.repository.save(limit)
    await floor.dispatcher(claim_seconds=0.5)
    held = [await floor.submit("gate") for _ in range(6)]
    free = await floor.submit()
    await floor.worker(worker_slots=6)

    await floor.until_status(free, SUCCEEDED)
    await floor.until(lambda: are_running(floor, 2), "the limit is never reached")
    assert len(await started_jobs(floor)) == 3
    gate.opened.set()

    for job in held:
        await floor.until_status(job, SUCCEEDED)


async def test_a_limit_of_the_platform_counts_all_tenants_through_a_change_of_dispatchers(
    floor: Floor, gate: type[Gate]
) -> None:
    of_all = origin(tenant=PLATFORM_TENANT)
    limit = Limit.introduce(LimitScope.TOOL, "gate", None, of_all)
    limit.set(Bounds(concurrency=2), of_all)
    await floor.repository.save(limit)
    first = await floor.dispatcher(claim_seconds=0.5)
    held = [await floor.submit("gate", tenant=name) for name in ("acme", "globex", "initech") * 2]
    await floor.worker(worker_slots=6)

    await floor.until(lambda: are_running(floor, 2), "the limit is never reached")
    await first.drain()
    await floor.dispatcher(claim_seconds=0.5)
    free = await floor.submit(tenant="globex")
    await floor.until_status(free, SUCCEEDED)
    assert len(await started_jobs(floor)) == 3
    gate.opened.set()

    for job in held:
        await floor.until_status(job, SUCCEEDED)


async def test_a_job_on_offer_that_gets_a_lower_priority_goes_after_the_others(
    floor: Floor,
) -> None:
    jobs = [await floor.submit() for _ in range(12)]
    await floor.dispatcher(ready_floor=4, ready_depth=4)
    await are_offered(floor, 4)
    before = (await floor.broker.jetstream.stream_info(READY_STREAM)).state.last_seq

    await floor.change(jobs[1], lambda job: job.reprioritise(-10, origin()))

    async def is_withdrawn() -> bool:
        info = await floor.broker.jetstream.stream_info(READY_STREAM)
        # Another took the place of the one that was taken back.
        return (info.state.messages, info.state.last_seq) == (4, before + 1)

    await floor.until(is_withdrawn, "the offer is never taken back")
    await floor.worker(inline_slots=1, worker_slots=1)
    for job in jobs:
        await floor.until_status(job, SUCCEEDED)
    # Each is offered when one is claimed, so that at most a few may start in between.
    assert (await started_jobs(floor)).index(jobs[1].id) >= 8


def paused(name: str) -> Queue:
    """A queue that somebody just stopped."""
    queue = Queue.introduce(name, origin())
    queue.pause(origin())
    return queue


async def are_offered(floor: Floor, count: int) -> None:
    async def are() -> bool:
        return await floor.offers() == count

    await floor.until(are, f"there are never {count} offers")


async def are_running(floor: Floor, count: int) -> bool:
    return Gate.runs == count


async def started_jobs(floor: Floor) -> list[UUID]:
    """The jobs in the order of their claims."""
    rows = await floor.rows(
        "SELECT originator_id FROM event_store.stored_events"
        " WHERE topic LIKE '%attempt_started' ORDER BY notification_id"
    )
    return [UUID(int=row["originator_id"].int) for row in rows]
