"""The connection to a NATS that is late, killed, frozen and rude."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop
from faststream.nats import NatsMessage
from nats import errors
from nats.aio.msg import Msg

from infrastructure import broker as broker_module
from infrastructure.broker import Broker, NotConnected, connect, nats_broker, reactor_check
from infrastructure.health import CheckFailed
from infrastructure.settings import NatsSettings
from tests.fixtures.servers import Server, ServerFactory

SUBJECT = "test.bell"
SECONDS = 30.0


@pytest.fixture
def server(server_factory: ServerFactory) -> Server:
    """A private NATS, not started."""
    return server_factory.nats()


@pytest.fixture
async def broker(server: Server) -> AsyncIterator[Broker]:
    """A started broker on the private NATS."""
    made = Broker(NatsSettings(nats_url=server.url), "test")
    await made.start()
    yield made
    await made.stop()


async def until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


async def heard(queue: asyncio.Queue[Msg]) -> bytes:
    """The body of the next message."""
    return (await asyncio.wait_for(queue.get(), SECONDS)).data


async def test_a_broker_starts_without_a_server_and_connects_when_it_comes(
    server: Server, broker: Broker
) -> None:
    queue: asyncio.Queue[Msg] = asyncio.Queue()
    await broker.subscribe(SUBJECT, queue)
    broker.ring(SUBJECT, b"lost")
    with pytest.raises(NotConnected):
        _ = broker.client
    with pytest.raises(CheckFailed):
        await broker.check().probe()

    server.start()
    assert await broker.wait_connected(SECONDS)
    broker.ring(SUBJECT, b"heard")

    assert await heard(queue) == b"heard"
    assert await broker.check().probe() is None


async def test_a_subscription_outlives_a_killed_server(server: Server, broker: Broker) -> None:
    bodies: list[bytes] = []
    server.start()
    assert await broker.wait_connected(SECONDS)
    await broker.subscribe(SUBJECT, lambda message: bodies.append(message.data))

    for number in range(2):
        server.kill()
        await until(lambda: not broker.connected)
        broker.ring(SUBJECT, b"dropped")
        server.start()
        await until(lambda: broker.connected)
        broker.ring(SUBJECT, str(number).encode())
        await until(lambda expected=number + 1: len(bodies) == expected)  # type: ignore[misc]

    assert bodies == [b"0", b"1"]


async def test_a_publish_that_failed_is_not_sent_later(server: Server, broker: Broker) -> None:
    queue: asyncio.Queue[Msg] = asyncio.Queue()
    server.start()
    assert await broker.wait_connected(SECONDS)
    await broker.subscribe(SUBJECT, queue)
    client = broker.client
    server.kill()
    # Taken while the loss of the connection has not been noticed yet.
    await client.publish(SUBJECT, b"too late")
    await until(lambda: not broker.connected)

    with pytest.raises(errors.OutboundBufferLimitError):
        await client.publish(SUBJECT, b"refused")
    server.start()
    await until(lambda: broker.connected)
    await client.publish(SUBJECT, b"new")

    assert await heard(queue) == b"new"


async def test_an_error_line_of_the_server_does_not_end_the_client(
    server: Server, broker: Broker
) -> None:
    queue: asyncio.Queue[Msg] = asyncio.Queue()
    server.start()
    assert await broker.wait_connected(SECONDS)
    await broker.subscribe(SUBJECT, queue)
    reconnects = broker.client.stats["reconnects"]

    await broker.client._send_command(b"NONSENSE\r\n")
    await broker.client._flush_pending()
    await until(lambda: broker.client.stats["reconnects"] > reconnects and broker.connected)
    broker.ring(SUBJECT, b"still here")

    assert await heard(queue) == b"still here"


async def test_a_frozen_server_with_full_buffers_is_left_at_once(
    server: Server, broker: Broker
) -> None:
    server.start()
    assert await broker.wait_connected(SECONDS)
    server.freeze()
    for _ in range(64):
        await broker.client.publish(SUBJECT, bytes(512 * 1024))
        await asyncio.sleep(0)

    await broker.client.force_reconnect()
    await until(lambda: not broker.connected)
    disconnected_at = time.monotonic()
    server.thaw()
    await until(lambda: broker.connected)

    assert time.monotonic() - disconnected_at < SECONDS
    assert broker.client.pending_data_size == 0


async def test_a_connection_that_ends_while_it_is_made_is_made_again(server: Server) -> None:
    """A peer that greets and hangs up, many times, before the real server takes its port."""
    port = int(server.url.rpartition(":")[2])
    greeted = 0

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal greeted
        greeted += 1
        lines = (b'INFO {"max_payload":1048576,"headers":true}\r\n', b"INFO {", b"")
        writer.write(lines[greeted % 3])
        await writer.drain()
        writer.transport.abort()

    rude = await asyncio.start_server(greet, "127.0.0.1", port)
    broker = Broker(NatsSettings(nats_url=server.url), "test")
    await broker.start()
    try:
        await until(lambda: greeted >= 4)
        rude.close()
        await rude.wait_closed()
        server.start()
        assert await broker.wait_connected(SECONDS)
        await broker.client.flush()
    finally:
        await broker.stop()


def test_a_killed_server_is_survived_on_uvloop(server: Server) -> None:
    async def scenario() -> None:
        client = await connect(NatsSettings(nats_url=server.url), "test")
        try:
            for _ in range(3):
                server.kill()
                await until(lambda: not client.is_connected)
                server.start()
                await until(lambda: client.is_connected)
            await client.flush()
        finally:
            await client.give_up()

    server.start()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario(), 90))


async def test_a_broker_that_never_connected_stops_at_once(server: Server) -> None:
    broker = Broker(NatsSettings(nats_url=server.url), "test")
    await broker.start()
    await asyncio.sleep(0)

    began = time.monotonic()
    await broker.stop()

    assert time.monotonic() - began < broker_module.STOP_SECONDS_MAX


async def test_rings_of_one_turn_become_one_and_queues_that_are_full_drop(
    server: Server, broker: Broker
) -> None:
    bodies: list[bytes] = []
    short: asyncio.Queue[Msg] = asyncio.Queue(maxsize=1)
    server.start()
    assert await broker.wait_connected(SECONDS)
    await broker.subscribe(SUBJECT, lambda message: bodies.append(message.data))
    await broker.subscribe(SUBJECT, short)

    for _ in range(100):
        broker.ring(SUBJECT)
    broker.ring(SUBJECT, b"last")
    await until(lambda: b"last" in bodies)

    assert bodies == [b"", b"last"]
    assert short.qsize() == 1


async def test_unsubscribed_is_silent(server: Server, broker: Broker) -> None:
    bodies: list[bytes] = []
    other: asyncio.Queue[Msg] = asyncio.Queue()
    server.start()
    assert await broker.wait_connected(SECONDS)
    listening = await broker.subscribe(SUBJECT, lambda message: bodies.append(message.data))
    await broker.subscribe(SUBJECT, other)

    await listening.unsubscribe()
    broker.ring(SUBJECT, b"anybody?")

    assert await heard(other) == b"anybody?"
    assert bodies == []


async def test_the_reactor_broker_reconnects_and_stops_while_the_server_is_away(
    server: Server,
) -> None:
    server.start()
    reactor = nats_broker(NatsSettings(nats_url=server.url), "test reactor")
    bodies: list[bytes] = []

    @reactor.subscriber(SUBJECT)
    async def hear(message: NatsMessage) -> None:
        bodies.append(message.body)

    await reactor.start()
    await reactor.publish(b"one", SUBJECT)
    await until(lambda: bodies == [b"one"])
    server.kill()
    await until(lambda: not reactor._connection.is_connected)  # type: ignore[union-attr]
    with pytest.raises(CheckFailed):
        await reactor_check(reactor).probe()
    server.start()
    await until(lambda: reactor._connection.is_connected)  # type: ignore[union-attr]
    await reactor.publish(b"two", SUBJECT)
    await until(lambda: bodies == [b"one", b"two"])
    server.kill()
    await until(lambda: not reactor._connection.is_connected)  # type: ignore[union-attr]

    began = time.monotonic()
    await reactor.stop()

    assert time.monotonic() - began < SECONDS
