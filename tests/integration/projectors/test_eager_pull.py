"""The eager pull on a real NATS: nothing waits, and nothing has to be there yet."""

import asyncio
import time
from collections.abc import AsyncIterator

import nats
import pytest
from nats import errors
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig

from infrastructure.nats_client import connect
from infrastructure.settings import NatsSettings
from projectors.eager_pull import EagerJetStream, EagerPull
from tests.fixtures.servers import ServerFactory
from tests.integration.projectors.running import until

STREAM, CONSUMER = "PULLED", "puller"
BATCH = 100
LONG_SECONDS = 60.0


@pytest.fixture
async def client(server_factory: ServerFactory) -> AsyncIterator[Client]:
    """A connection to a NATS of its own, with an empty stream and a consumer."""
    server = server_factory.nats()
    server.start()
    connection = await nats.connect(server.url)
    yield connection
    await connection.close()


async def declare(client: Client) -> None:
    """Make the stream and the consumer."""
    jetstream = client.jetstream()
    await jetstream.add_stream(name=STREAM, subjects=["pulled"])
    config = ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.ALL)
    await jetstream.add_consumer(STREAM, config)


async def publish(client: Client, count: int) -> None:
    """Put so many messages into the stream."""
    for number in range(count):
        await client.publish("pulled", str(number).encode())
    await client.flush()


async def pull_on(client: Client) -> EagerPull:
    """The pull, as FastStream asks for it."""
    return await EagerJetStream(client, BATCH).pull_subscribe("", durable=CONSUMER, stream=STREAM)


async def test_a_lone_message_is_handed_over_at_once(client: Client) -> None:
    await declare(client)
    pull = await pull_on(client)
    fetching = asyncio.create_task(pull.fetch(BATCH, LONG_SECONDS))
    await publish(client, 1)

    began = time.monotonic()
    (message,) = await fetching
    with pytest.raises(errors.TimeoutError):
        await pull.fetch(BATCH - 1, LONG_SECONDS)

    assert message.data == b"0"
    assert time.monotonic() - began < LONG_SECONDS / 2


async def test_many_messages_come_in_batches_and_in_order(client: Client) -> None:
    await declare(client)
    await publish(client, 3_500)
    pull = await pull_on(client)
    numbers: list[int] = []

    while len(numbers) < 3_500:
        batch = await pull.fetch(BATCH, LONG_SECONDS)
        numbers += [int(message.data) for message in batch]
        assert len(batch) <= BATCH
        await batch[-1].ack()

    assert numbers == list(range(3_500))


async def test_an_empty_stream_times_out(client: Client) -> None:
    await declare(client)
    pull = await pull_on(client)

    with pytest.raises(errors.TimeoutError):
        await pull.fetch(BATCH, 0.05)


async def test_a_stream_that_is_made_later_is_pulled_then(client: Client) -> None:
    pull = await pull_on(client)
    with pytest.raises(errors.TimeoutError):
        await pull.fetch(BATCH, 0.2)

    await declare(client)
    await publish(client, 1)

    async with asyncio.timeout(LONG_SECONDS):
        (message,) = await pull.fetch(BATCH, LONG_SECONDS)
    assert message.data == b"0"


async def test_a_consumer_that_was_made_anew_is_pulled_again(client: Client) -> None:
    await declare(client)
    pull = await pull_on(client)
    with pytest.raises(errors.TimeoutError):
        await pull.fetch(BATCH, 0.05)

    await client.jetstream().delete_stream(STREAM)
    await declare(client)
    await publish(client, 1)

    (message,) = await pull.fetch(BATCH, LONG_SECONDS)
    assert message.data == b"0"


async def test_after_a_reconnect_messages_arrive_again(server_factory: ServerFactory) -> None:
    server = server_factory.nats()
    server.start()
    client = await connect(NatsSettings(nats_url=server.url), "test")
    await declare(client)
    pull = await pull_on(client)
    with pytest.raises(errors.TimeoutError):
        await pull.fetch(BATCH, 0.05)

    server.kill()
    server.start()

    async def is_stored() -> bool:
        try:
            await client.jetstream(timeout=1).publish("pulled", b"0")
        except errors.Error:
            return False
        return True

    await until(is_stored, "the stream takes messages again")
    message, *_ = await pull.fetch(BATCH, LONG_SECONDS)
    assert message.data == b"0"
    await pull.unsubscribe()
    await client.give_up()
