"""The stream is the log, in order and without a hole, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from deploy import migrations
from tests.fixtures.servers import Server, ServerFactory
from tests.integration.events.relay.stage import RunningRelay, Stage, staged, until

STORM_EVENTS = 100
PROGRESS_EVENTS = 200


@asynccontextmanager
async def appending(stage: Stage) -> AsyncIterator[None]:
    """Append without a pause, so that something is always on its way."""

    async def append() -> None:
        while True:
            await stage.append(STORM_EVENTS)

    task = asyncio.create_task(append())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def progress(running: RunningRelay) -> None:
    """Wait until the relay has published some more."""
    seen = running.relay.position or 0
    await until(lambda: (running.relay.position or 0) > seen + PROGRESS_EVENTS)


async def settled(stage: Stage) -> None:
    """Wait until the relay has caught up, and compare everything."""
    last = await stage.append(1)
    await stage.until_relayed(last)
    await stage.assert_mirrored()


async def test_events_are_published_in_order_and_sequence_is_position(stage: Stage) -> None:
    await stage.append(300)
    await stage.relay()
    await stage.until_relayed(300)

    for _ in range(20):
        await stage.until_relayed(await stage.append(1))
    await stage.until_relayed(await stage.append(2_500))

    await stage.assert_mirrored()


async def test_events_of_very_different_sizes_are_published(stage: Stage) -> None:
    for size in (300_000, 40, 500_000, 200_000, 40):
        await stage.append(12, size=size)
    await stage.relay()

    await settled(stage)


async def test_a_server_killed_in_mid_publish_neither_loses_nor_reorders(
    stage: Stage, server: Server
) -> None:
    running = await stage.relay()

    async with appending(stage):
        for _ in range(3):
            await progress(running)
            server.kill()
            server.start()

    await settled(stage)


async def test_a_frozen_server_neither_loses_nor_reorders(stage: Stage, server: Server) -> None:
    running = await stage.relay(answer_seconds_max=0.5)

    async with appending(stage):
        for _ in range(2):
            await progress(running)
            server.freeze()
            await until(lambda: running.relay.position is None)
            server.thaw()

    await settled(stage)


async def test_a_relay_killed_in_mid_window_is_followed_by_the_next(stage: Stage) -> None:
    async with appending(stage):
        for _ in range(3):
            running = await stage.relay()
            await progress(running)
            await running.kill()

    await stage.relay()
    await settled(stage)


async def test_of_two_relays_one_publishes_and_the_other_takes_over(stage: Stage) -> None:
    first = await stage.relay()
    await stage.until_relayed(await stage.append(10))
    second = await stage.relay()

    async with appending(stage):
        await progress(first)
        assert second.relay.position is None
        assert await second.relay.check.probe() == "stands by"
        await first.kill()
        await progress(second)

    await settled(stage)


async def test_two_relays_that_both_believe_to_lead_do_no_harm(stage: Stage) -> None:
    """The lock is no fence, the chain is: as when a frozen relay wakes after it was replaced."""
    first = await stage.relay()
    second = await stage.relay()
    second.relay._leadership.key = "another duty"

    async with appending(stage):
        for _ in range(3):
            await progress(first)
            await progress(second)

    await settled(stage)


@pytest.fixture
async def database(server_factory: ServerFactory) -> Server:
    """A private PostgreSQL with the schema."""
    server = server_factory.postgres()
    server.start()
    await asyncio.to_thread(migrations.upgrade, server.url)
    return server


async def test_a_restarted_postgres_is_survived(database: Server, server: Server) -> None:
    server.start()
    async with staged(database.url, server.url) as stage:
        await stage.connected()
        running = await stage.relay()
        for restart in (database.kill, database.stop):
            await stage.append(5_000)
            await progress(running)
            restart()
            await until(lambda: running.relay.position is None)
            database.start()

        await settled(stage)
