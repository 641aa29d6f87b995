"""Streams and consumers that are lost, in whatever way, come back by themselves."""

import shutil

import asyncpg
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType

from events.contracts.subjects import EVENTS_STREAM, READY_STREAM
from events.relay import checkpoints as checkpoints_module
from events.relay.checkpoints import Checkpoints
from events.relay.streams import CONSUMERS, DISPATCHER, PROJECTOR
from infrastructure.postgres import Role
from infrastructure.settings import PostgresSettings
from tests.fixtures.servers import Server
from tests.integration.events.relay.stage import Stage, staged, until


async def checkpoint(database_url: str, position: int) -> None:
    """Say that all readers have come as far as a position."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("GRANT USAGE ON SCHEMA work TO mt_relay")
        await connection.execute("GRANT SELECT ON work.checkpoints TO mt_relay")
        await connection.execute("UPDATE work.checkpoints SET position = $1", position)
        await connection.execute("UPDATE read_models.checkpoints SET position = $1", position)
    finally:
        await connection.close()


async def test_a_deleted_stream_is_made_anew_and_filled(stage: Stage) -> None:
    await stage.relay(verify_seconds=0.2)
    await stage.until_relayed(await stage.append(3_000))

    await stage.jetstream.delete_stream(EVENTS_STREAM)
    await stage.until_relayed(3_000)
    await stage.until_relayed(await stage.append(10))

    await stage.assert_mirrored()


async def test_a_lost_stream_begins_at_the_lowest_checkpoint(
    stage: Stage, database_url: str
) -> None:
    await stage.relay(verify_seconds=0.2)
    await stage.until_relayed(await stage.append(1_000))
    await checkpoint(database_url, 700)

    await stage.jetstream.delete_stream(EVENTS_STREAM)
    await stage.until_relayed(1_000)

    await stage.assert_mirrored(first=701)
    projector = await stage.jetstream.consumer_info(PROJECTOR.stream, PROJECTOR.name)
    assert projector.num_pending == 300


async def test_a_lost_stream_whose_readers_saw_all_waits_for_the_next_event(
    stage: Stage, database_url: str
) -> None:
    await stage.relay(verify_seconds=0.2)
    await stage.until_relayed(await stage.append(50))
    await checkpoint(database_url, 50)

    await stage.jetstream.delete_stream(EVENTS_STREAM)
    await stage.until_relayed(50)
    await stage.until_relayed(await stage.append(1))

    await stage.assert_mirrored(first=51)


async def test_a_far_behind_reader_does_not_make_the_relay_publish_all_history(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints_module, "REFILL_EVENTS_MAX", 100)
    await stage.append(1_000)

    await stage.relay()
    await stage.until_relayed(1_000)

    await stage.assert_mirrored(first=901)


async def test_a_folder_wiped_with_its_server_is_filled_again(stage: Stage, server: Server) -> None:
    running = await stage.relay(verify_seconds=0.2)
    await stage.until_relayed(await stage.append(2_000))

    server.kill()
    server.wipe()
    await until(lambda: running.relay.position is None)
    last = await stage.append(100)
    server.start()
    await stage.until_relayed(last)

    await stage.assert_mirrored()


async def test_a_folder_removed_under_the_living_server_is_survived(
    stage: Stage, server: Server
) -> None:
    """The server goes on without a word until its file is full, and then is silent for ever."""
    await stage.relay(verify_seconds=0.2, answer_seconds_max=0.5, stuck_seconds_max=1.0)
    await stage.until_relayed(await stage.append(100))

    shutil.rmtree(server.home / "store")
    last = await stage.append(150, size=100_000)
    await stage.until_relayed(last)

    await stage.assert_mirrored()


async def test_a_stream_that_is_slow_once_is_not_given_up_later(
    stage: Stage, server: Server
) -> None:
    running = await stage.relay(verify_seconds=0.1, answer_seconds_max=0.3, stuck_seconds_max=0.5)
    await stage.until_relayed(await stage.append(10))
    created = (await stage.stream()).created
    server.freeze()
    await stage.append(10)
    await until(lambda: running.relay.position is None)
    server.thaw()
    await stage.until_relayed(20)

    for _ in range(10):
        await stage.until_relayed(await stage.append(1))

    assert (await stage.stream()).created == created
    await stage.assert_mirrored()


@pytest.mark.parametrize("stream", [EVENTS_STREAM, READY_STREAM])
async def test_a_stream_deleted_by_hand_comes_back_with_its_consumers(
    stage: Stage, stream: str
) -> None:
    await stage.relay(verify_seconds=0.2)
    await stage.until_relayed(await stage.append(10))

    await stage.jetstream.delete_stream(stream)

    async def all_is_there() -> bool:
        names = {info.name for info in await stage.jetstream.consumers_info(stream)}
        return names == {consumer.name for consumer in CONSUMERS if consumer.stream == stream}

    await until(all_is_there)


async def test_offers_are_kept_in_memory_and_the_stream_comes_back_after_a_restart(
    stage: Stage, server: Server
) -> None:
    await stage.relay(verify_seconds=0.2)
    await stage.until_relayed(await stage.append(1))
    await stage.jetstream.publish("ready.default", b"job")

    server.kill()
    server.start()

    async def is_empty() -> bool:
        return bool((await stage.jetstream.stream_info(READY_STREAM)).state.messages == 0)

    await until(is_empty)


async def test_a_deleted_consumer_comes_back_at_its_checkpoint(
    stage: Stage, database_url: str
) -> None:
    await stage.relay(verify_seconds=0.2)
    await stage.until_relayed(await stage.append(100))
    await checkpoint(database_url, 60)

    await stage.jetstream.delete_consumer(EVENTS_STREAM, DISPATCHER.name)

    async def is_back() -> bool:
        info = await stage.jetstream.consumer_info(EVENTS_STREAM, DISPATCHER.name)
        return bool(info.num_pending == 40)

    await until(is_back)


async def test_settings_changed_by_hand_are_changed_back(stage: Stage) -> None:
    await stage.relay(verify_seconds=0.2)
    await stage.until_relayed(await stage.append(5))
    jetstream = stage.jetstream

    info = await jetstream.stream_info(EVENTS_STREAM)
    await jetstream.update_stream(info.config.evolve(max_bytes=10_000_000))
    await jetstream.delete_stream(READY_STREAM)
    await jetstream.add_stream(
        name=READY_STREAM,
        subjects=["ready.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
    )
    await jetstream.delete_consumer(EVENTS_STREAM, PROJECTOR.name)
    await jetstream.add_consumer(
        EVENTS_STREAM,
        ConsumerConfig(name=PROJECTOR.name, durable_name=PROJECTOR.name, ack_wait=1),
    )

    async def is_mended() -> bool:
        events = await jetstream.stream_info(EVENTS_STREAM)
        ready = await jetstream.stream_info(READY_STREAM)
        projector = await jetstream.consumer_info(EVENTS_STREAM, PROJECTOR.name)
        return (
            events.config.max_bytes == stage.nats.events_stream_bytes_max
            and ready.config.storage == StorageType.MEMORY
            and ready.config.retention == RetentionPolicy.WORK_QUEUE
            and projector.config.ack_policy == AckPolicy.ALL
            and projector.config.ack_wait == PROJECTOR.ack_seconds
        )

    await until(is_mended)
    await stage.assert_mirrored()


async def test_a_stream_over_its_size_limit_drops_the_oldest_and_keeps_the_positions(
    database_url: str, server: Server
) -> None:
    server.start()
    async with staged(database_url, server.url, events_stream_bytes_max=1024**2) as stage:
        await stage.connected()
        await stage.relay()
        await stage.until_relayed(await stage.append(5_000, size=1_000))
        await stage.until_relayed(await stage.append(1))

        first = (await stage.stream()).state.first_seq
        assert first > 1
        await stage.assert_mirrored(first=first)


async def test_checkpoints_that_may_not_be_read_count_as_readers_at_the_start(
    database_url: str,
) -> None:
    checkpoints = Checkpoints(PostgresSettings(database_url=database_url), Role.AUDITOR)

    _, found = await checkpoints.read()

    assert [reader.position for reader in found] == [0, 0]
