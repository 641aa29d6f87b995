"""The dispatcher on real servers that are lost, restarted and wiped."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.contracts.subjects import READY_STREAM
from events.contracts.values import JobStatus
from processors.rebuild import rebuild
from processors.tail import PostgresTail
from processors.work import PostgresWork
from tests.factories.tools import Gate
from tests.fixtures.servers import Server, ServerFactory
from tests.integration.processors.floor import Floor, opened

SUCCEEDED = JobStatus.SUCCEEDED


async def offered(floor: Floor, count: int) -> None:
    async def are() -> bool:
        return await floor.offers() == count

    await floor.until(are, f"there are never {count} offers")


async def test_jobs_that_wait_are_offered_up_to_a_depth(floor: Floor) -> None:
    await floor.dispatcher(ready_depth=5)
    for _ in range(12):
        await floor.submit()

    await offered(floor, 5)


async def test_a_deleted_ready_heals(floor: Floor) -> None:
    await floor.dispatcher()
    jobs = [await floor.submit() for _ in range(20)]
    await offered(floor, 20)

    await floor.broker.jetstream.delete_stream(READY_STREAM)
    await floor.declare()

    await offered(floor, 20)
    await floor.worker()
    for job in jobs:
        await floor.until_status(job, SUCCEEDED)


async def test_a_purged_ready_heals(floor: Floor) -> None:
    await floor.dispatcher()
    jobs = [await floor.submit() for _ in range(20)]
    await offered(floor, 20)

    await floor.broker.jetstream.purge_stream(READY_STREAM)

    await offered(floor, 20)
    await floor.worker()
    for job in jobs:
        await floor.until_status(job, SUCCEEDED)


async def test_an_offer_that_a_dead_worker_took_is_made_again(floor: Floor) -> None:
    await floor.dispatcher()
    job = await floor.submit()
    await offered(floor, 1)
    taker = await floor.broker.jetstream.pull_subscribe_bind("worker-default", READY_STREAM)
    assert len(await taker.fetch(1)) == 1

    await offered(floor, 2)

    await floor.worker()
    await floor.until_status(job, SUCCEEDED)


async def test_a_successor_offers_what_waits(floor: Floor) -> None:
    first = await floor.dispatcher()
    jobs = [await floor.submit() for _ in range(5)]
    await offered(floor, 5)
    await first.cut()
    jobs += [await floor.submit() for _ in range(5)]

    await floor.dispatcher()

    await offered(floor, 10)


async def test_a_standby_takes_over_when_the_leader_ends(floor: Floor) -> None:
    leader = await floor.dispatcher()
    await offered(floor, 0)
    await floor.dispatcher()
    await floor.submit()
    await offered(floor, 1)

    await leader.cut()
    await floor.submit()

    await offered(floor, 2)


async def test_a_long_queue_is_worked_off_in_order(floor: Floor) -> None:
    jobs = [await floor.submit() for _ in range(60)]
    await floor.dispatcher(queue_front_max=8, ready_depth=4)

    await floor.worker(inline_slots=1, worker_slots=1)

    for job in jobs:
        await floor.until_status(job, SUCCEEDED)
    rows = await floor.rows(
        "SELECT originator_id FROM event_store.stored_events"
        " WHERE topic LIKE '%attempt_started' ORDER BY notification_id"
    )
    order = {job.id: number for number, job in enumerate(jobs)}
    started = [order[row["originator_id"]] for row in rows]
    # What is on offer at one time may change places, and no more.
    assert max(abs(number - place) for place, number in enumerate(started)) <= 2 * 4


async def test_the_tables_are_rebuilt_under_a_living_dispatcher(
    floor: Floor, gate: type[Gate]
) -> None:
    await floor.dispatcher()
    await floor.worker()
    done = [await floor.submit() for _ in range(10)]
    held = await floor.submit("gate")
    await gate.reached.wait()
    for job in done:
        await floor.until_status(job, SUCCEEDED)
    scheduled = await floor.submit(job_queue="later")
    await floor.until_status(scheduled, SUCCEEDED)

    work, tail = PostgresWork(floor.database_url), PostgresTail(floor.database_url)
    await rebuild(tail, work)
    gate.opened.set()

    await floor.until_status(held, SUCCEEDED)
    await floor.until_status(await floor.submit(), SUCCEEDED)
    await floor.until(lambda: is_empty(floor), "rows are left over")
    await work.close()
    await tail.close()


async def test_work_that_ends_leaves_no_rows(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.worker()

    for job in [await floor.submit() for _ in range(30)]:
        await floor.until_status(job, SUCCEEDED)

    await floor.until(lambda: is_empty(floor), "rows are left over")
    (checkpoint,) = await floor.rows(
        "SELECT position FROM work.checkpoints WHERE name = 'dispatcher'"
    )
    (head,) = await floor.rows("SELECT position FROM event_store.event_head")
    assert checkpoint["position"] == head["position"]


@pytest.fixture
async def private_nats(
    server_factory: ServerFactory, database_url: str, tmp_path: Path
) -> AsyncIterator[tuple[Floor, Server]]:
    """A floor on a NATS of its own."""
    server = server_factory.nats()
    server.start()
    async with opened(database_url, server.url, tmp_path) as floor:
        yield floor, server


async def test_a_restarted_and_wiped_nats_loses_no_job(
    private_nats: tuple[Floor, Server], gate: type[Gate]
) -> None:
    floor, server = private_nats
    await floor.dispatcher()
    await floor.worker()
    held = await floor.submit("gate")
    await gate.reached.wait()
    waiting = [await floor.submit() for _ in range(5)]

    await asyncio.to_thread(server.kill)
    waiting += [await floor.submit() for _ in range(5)]
    server.wipe()
    await asyncio.to_thread(server.start)
    await floor.until(lambda: declared(floor), "the streams cannot be made")

    for job in waiting:
        await floor.until_status(job, SUCCEEDED)
    gate.opened.set()
    await floor.until_status(held, SUCCEEDED)
    assert (await floor.topics(held)).count("attempt_started") == 1


async def declared(floor: Floor) -> bool:
    await floor.declare()
    return True


async def is_empty(floor: Floor) -> bool:
    (row,) = await floor.rows("SELECT count(*) AS jobs FROM work.jobs")
    return row["jobs"] == 0
