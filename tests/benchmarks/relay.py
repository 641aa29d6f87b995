"""The relay, catching up with a full log, against a bare windowed JetStream publish.

The bare publish sends as many bodies of the same size to a stream of the same settings, pipelined
in a window of 1,000 on one reply inbox, without headers, without reading a database and without
checking the order of what comes back. Rounds are interleaved.
"""

import asyncio
import time
from uuid import uuid4

import uvloop
from nats.js.api import StorageType, StreamConfig

from events.contracts.subjects import EVENTS_STREAM
from events.relay.publisher import Relay
from infrastructure.broker import Broker
from infrastructure.settings import NatsSettings, PostgresSettings
from tests.benchmarks.lives import EVENTS_OF_A_JOB, fill
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row, median

ROUNDS = 3
JOBS = 20_000
BODY = b"x" * 600
WINDOW = 1_000
BARE_STREAM = "BARE"
ROUND_SECONDS_MAX = 120.0


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    url = stand.new_database("bench_relay")
    say("relay: filling the log")
    fill(url, JOBS)
    ours: list[float] = []
    bare: list[float] = []
    for number in range(ROUNDS):
        say(f"relay: round {number + 1} of {ROUNDS}")
        ours.append(uvloop.run(relayed(stand, url)))
        bare.append(uvloop.run(bare_publish(stand, JOBS * EVENTS_OF_A_JOB)))
    return [
        Row(
            "relay, events published and confirmed",
            Figure(median(ours), "/s"),
            f"bare publish, window {WINDOW}",
            Figure(median(bare), "/s"),
        )
    ]


async def relayed(stand: Stand, url: str) -> float:
    """Events a second from an empty stream to the head of the log."""
    nats = NatsSettings(nats_url=stand.nats.url)
    broker = Broker(nats, "bench")
    await broker.start()
    await broker.wait_connected(10)
    try:
        await broker.jetstream.delete_stream(EVENTS_STREAM)
    except Exception:
        await asyncio.sleep(0)
    relay = Relay(broker, PostgresSettings(database_url=url), nats)
    await relay.start()
    await relay.run_once()
    already = relay.position or 0
    began = time.perf_counter()
    total = JOBS * EVENTS_OF_A_JOB
    async with asyncio.timeout(ROUND_SECONDS_MAX):
        while (relay.position or 0) < total:
            await relay.run_once()
    took = time.perf_counter() - began
    await relay.stop()
    await broker.stop()
    return (total - already) / took


async def bare_publish(stand: Stand, messages: int) -> float:
    """Messages a second, stored and acknowledged."""
    broker = Broker(NatsSettings(nats_url=stand.nats.url), "bench bare")
    await broker.start()
    await broker.wait_connected(10)
    client, jetstream = broker.client, broker.jetstream
    await jetstream.add_stream(
        StreamConfig(name=BARE_STREAM, subjects=["bare.>"], storage=StorageType.FILE)
    )
    inbox = f"_INBOX.bare.{uuid4().hex}"
    answered = 0
    room = asyncio.Semaphore(WINDOW)

    async def count(_: object) -> None:
        nonlocal answered
        answered += 1
        room.release()

    await client.subscribe(inbox, cb=count)
    began = time.perf_counter()
    for _ in range(messages):
        await room.acquire()
        await client.publish("bare.one", BODY, reply=inbox)
    for _ in range(WINDOW):
        await room.acquire()
    took = time.perf_counter() - began
    await jetstream.delete_stream(BARE_STREAM)
    await broker.stop()
    return answered / took
