"""One declaration owns streams and consumers, and nobody else changes them by accident."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from faststream.nats import NatsMessage, PullSub
from nats.js import JetStreamContext
from nats.js.api import StorageType
from nats.js.errors import APIError

from events.contracts.subjects import (
    EVENTS_STREAM,
    EVENTS_SUBJECTS,
    READY_STREAM,
    event_subject,
    ready_subject,
)
from events.relay.streams import (
    CONSUMERS,
    DISPATCHER,
    PROJECTOR,
    READY_MESSAGES_MAX,
    declare,
    declare_queue,
    streams,
    worker_consumer,
)
from infrastructure.broker import nats_broker, undeclared
from infrastructure.nats_client import LastingClient, connect
from infrastructure.settings import NatsSettings
from tests.fixtures.servers import Server

SUBJECT = event_subject("acme", "magictoolbox.job.submitted")


async def from_the_start() -> int:
    """The first position that is wanted."""
    return 1


async def from_seventeen() -> int:
    """The first position that is wanted."""
    return 17


@pytest.fixture
def settings(server: Server) -> NatsSettings:
    """Settings of a private NATS that runs."""
    server.start()
    return NatsSettings(nats_url=server.url)


@pytest.fixture
async def client(settings: NatsSettings) -> AsyncIterator[LastingClient]:
    """A connection to it."""
    made = await connect(settings, "test")
    yield made
    await made.give_up()


@pytest.fixture
def jetstream(client: LastingClient) -> JetStreamContext:
    """Its JetStream."""
    return client.jetstream()


async def test_declaring_again_changes_nothing(
    jetstream: JetStreamContext, settings: NatsSettings
) -> None:
    await declare(jetstream, settings, from_seventeen)
    await jetstream.publish(SUBJECT, b"{}")
    before = [await jetstream.stream_info(name) for name in (EVENTS_STREAM, READY_STREAM)]
    consumers = [await jetstream.consumer_info(each.stream, each.name) for each in CONSUMERS]

    async def never() -> int:
        raise AssertionError("asked although nothing is to be made")

    info = await declare(jetstream, settings, never)

    assert info.state.last_seq == 17
    assert before == [await jetstream.stream_info(name) for name in (EVENTS_STREAM, READY_STREAM)]
    assert [each.created for each in consumers] == [
        (await jetstream.consumer_info(each.stream, each.name)).created for each in CONSUMERS
    ]


async def test_many_that_declare_at_once_agree(
    jetstream: JetStreamContext, settings: NatsSettings
) -> None:
    infos = await asyncio.gather(
        *(declare(jetstream, settings, first) for first in [from_the_start, from_seventeen] * 4)
    )

    assert len({info.created for info in infos}) == 1


async def test_new_settings_are_applied_to_a_stream_that_exists(
    jetstream: JetStreamContext, settings: NatsSettings
) -> None:
    await declare(jetstream, settings, from_seventeen)
    await jetstream.publish(SUBJECT, b"{}")

    smaller = settings.model_copy(update={"events_stream_bytes_max": 5 * 1024**2})
    info = await declare(jetstream, smaller, from_the_start)

    assert info.config.max_bytes == 5 * 1024**2
    assert info.state.last_seq == 17


async def test_a_projector_of_faststream_leaves_stream_and_consumer_as_they_are(
    jetstream: JetStreamContext, settings: NatsSettings
) -> None:
    await declare(jetstream, settings, from_the_start)
    before = (await jetstream.stream_info(EVENTS_STREAM)).config
    consumer = (await jetstream.consumer_info(EVENTS_STREAM, PROJECTOR.name)).config
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    reactor = nats_broker(settings, "test projector")

    @reactor.subscriber(
        EVENTS_SUBJECTS,
        stream=undeclared(EVENTS_STREAM),
        durable=PROJECTOR.name,
        pull_sub=PullSub(batch_size=10, timeout=0.1),
    )
    async def hear(message: NatsMessage) -> None:
        heard.put_nowait(message.body)

    await reactor.start()
    try:
        await jetstream.publish(SUBJECT, b"{}")
        assert await asyncio.wait_for(heard.get(), 30) == b"{}"
    finally:
        await reactor.stop()

    assert (await jetstream.stream_info(EVENTS_STREAM)).config == before
    assert (await jetstream.consumer_info(EVENTS_STREAM, PROJECTOR.name)).config == consumer


async def test_one_answer_of_a_reader_stands_for_all_before_it(
    jetstream: JetStreamContext, settings: NatsSettings
) -> None:
    await declare(jetstream, settings, from_the_start)
    for _ in range(10):
        await jetstream.publish(SUBJECT, b"{}")
    reader = await jetstream.pull_subscribe_bind(DISPATCHER.name, stream=EVENTS_STREAM)

    messages = await reader.fetch(10, timeout=30)
    await messages[-1].ack_sync()

    info = await jetstream.consumer_info(EVENTS_STREAM, DISPATCHER.name)
    assert (info.num_ack_pending, info.num_pending) == (0, 0)


async def test_each_queue_has_its_own_workers(
    jetstream: JetStreamContext, settings: NatsSettings
) -> None:
    await declare(jetstream, settings, from_the_start)
    for _ in range(2):
        assert await declare_queue(jetstream, "night") == worker_consumer("night")
    await jetstream.publish(ready_subject("night"), b"job")

    name = worker_consumer("night").name
    night = await jetstream.pull_subscribe_bind(name, stream=READY_STREAM)
    [message] = await night.fetch(1, timeout=30)
    await message.ack_sync()

    assert message.data == b"job"
    assert (await jetstream.stream_info(READY_STREAM)).state.messages == 0


async def test_a_full_ready_stream_refuses_instead_of_dropping(
    jetstream: JetStreamContext, settings: NatsSettings
) -> None:
    await declare(jetstream, settings, from_the_start)
    info = await jetstream.stream_info(READY_STREAM)
    await jetstream.update_stream(info.config.evolve(max_msgs=2))
    for _ in range(2):
        await jetstream.publish(ready_subject("default"), b"job")

    with pytest.raises(APIError, match="maximum messages exceeded"):
        await jetstream.publish(ready_subject("default"), b"job")

    assert info.config.max_msgs == READY_MESSAGES_MAX
    assert info.config.storage == StorageType.MEMORY


async def test_messages_of_events_cannot_be_deleted(
    jetstream: JetStreamContext, settings: NatsSettings
) -> None:
    await declare(jetstream, settings, from_the_start)
    await jetstream.publish(SUBJECT, b"{}")

    with pytest.raises(APIError):
        await jetstream.delete_msg(EVENTS_STREAM, 1)
    with pytest.raises(APIError):
        await jetstream.purge_stream(EVENTS_STREAM)

    assert streams(settings)[0].name == EVENTS_STREAM
