"""A log, a NATS of its own, and relays between them, for tests that break one of these."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any, Final

import asyncpg
from eventsourcing.persistence import StoredEvent
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StreamInfo
from nats.js.errors import NotFoundError

from events.contracts.subjects import EVENTS_STREAM
from events.relay.main import PAUSE_SECONDS_MAX, POLL_SECONDS
from events.relay.publisher import Relay
from events.store.append import Append, PostgresAppender
from infrastructure.broker import UNAVAILABLE, Broker
from infrastructure.ids import uuid7
from infrastructure.periodic import ServiceLoop
from infrastructure.postgres import Role
from infrastructure.settings import NatsSettings, PostgresSettings

DEADLINE_SECONDS: Final = 60.0
POLL: Final = 0.02
AWAY: tuple[type[BaseException], ...] = (*UNAVAILABLE, NotFoundError)
TOPIC: Final = "magictoolbox.job.submitted"


async def until(
    condition: Callable[[], bool | Awaitable[bool]], seconds: float = DEADLINE_SECONDS
) -> None:
    """Wait until a condition holds; a server that is away makes it false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = condition()
            if await answer if isawaitable(answer) else answer:
                return
        except AWAY:
            pass
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(POLL)


class RunningRelay:
    """One relay in a loop of its own, as in its process."""

    def __init__(self, broker: Broker, relay: Relay, loop: ServiceLoop) -> None:
        self.broker = broker
        self.relay = relay
        self.loop = loop
        self.task = asyncio.create_task(loop.run())

    async def kill(self) -> None:
        """End it wherever it is."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.broker.stop()

    async def stop(self) -> None:
        """Drain it."""
        self.loop.drain()
        await self.task
        await self.broker.stop()


class Stage:
    """What a test acts on."""

    def __init__(self, database_url: str, nats_url: str, **nats: Any) -> None:
        self.postgres = PostgresSettings(database_url=database_url)
        self.nats = NatsSettings(nats_url=nats_url, **nats)
        self._appender = PostgresAppender(database_url, Role.COMMAND_API)
        self._broker = Broker(self.nats, "test")
        self.relays: list[RunningRelay] = []
        """Those that were started, oldest first."""

    async def open(self) -> None:
        """Connect the test's own eyes."""
        await self._broker.start()

    async def close(self) -> None:
        """End what runs."""
        for relay in self.relays:
            if not relay.task.done():
                await relay.stop()
        await self._appender.close()
        await self._broker.stop()

    @property
    def jetstream(self) -> JetStreamContext:
        """For looking and for breaking."""
        return self._broker.jetstream

    async def connected(self) -> None:
        """Wait for the test's own connection."""
        await until(lambda: self._broker.connected)

    async def relay(self, **options: Any) -> RunningRelay:
        """Start a relay."""
        broker = Broker(self.nats, "test relay")
        await broker.start()
        relay = Relay(broker, self.postgres, self.nats, **options)
        loop = ServiceLoop(
            relay, idle_seconds=POLL_SECONDS, pause_seconds_max=min(PAUSE_SECONDS_MAX, 0.5)
        )
        running = RunningRelay(broker, relay, loop)
        self.relays.append(running)
        return running

    async def append(self, count: int, *, size: int = 200, tenant: str = "acme") -> int:
        """Append events, up to a thousand in one commit; returns the last position."""
        last = 0
        for start in range(0, count, 1_000):
            events = [event(size) for _ in range(min(1_000, count - start))]
            last = (await self._appender.append(Append(tenant, events)))[-1]
        for relay in self.relays:
            relay.loop.wake()
        return last

    def ring(self, subject: str) -> None:
        """Poke whoever listens."""
        self._broker.ring(subject)

    async def stream(self) -> StreamInfo:
        """What the stream says of itself."""
        return await self.jetstream.stream_info(EVENTS_STREAM)

    async def until_relayed(self, position: int, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until the stream holds a position."""

        async def is_there() -> bool:
            return (await self.stream()).state.last_seq >= position

        await until(is_there, seconds)

    async def rows(self) -> Sequence[asyncpg.Record]:
        """The whole log."""
        connection = await asyncpg.connect(self.postgres.dsn)
        try:
            return await connection.fetch(
                "SELECT notification_id, state FROM event_store.stored_events ORDER BY 1"
            )
        finally:
            await connection.close()

    async def assert_mirrored(self, *, first: int = 1) -> None:
        """The stream is the log from `first` on: same bytes, same order, sequence = position."""
        rows = (await self.rows())[first - 1 :]
        messages = await self.messages()

        assert [sequence for sequence, _ in messages] == [row[0] for row in rows]
        assert [body for _, body in messages] == [row[1] for row in rows]

    async def messages(self) -> list[tuple[int, bytes]]:
        """All that the stream holds: sequence and body."""
        total = (await self.stream()).state.messages
        config = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=30)
        reader = await self.jetstream.pull_subscribe("", stream=EVENTS_STREAM, config=config)
        found: list[tuple[int, bytes]] = []
        while len(found) < total:
            for message in await reader.fetch(min(500, total - len(found)), timeout=30):
                found.append((message.metadata.sequence.stream, message.data))
        await reader.unsubscribe()
        return found


def event(size: int) -> StoredEvent:
    """An event of an aggregate of its own."""
    originator_id = uuid7()
    state = str(originator_id).encode().ljust(size, b".")
    return StoredEvent(originator_id, 1, TOPIC, state)


@asynccontextmanager
async def staged(database_url: str, nats_url: str, **nats: Any) -> AsyncIterator[Stage]:
    """A stage for one test."""
    stage = Stage(database_url, nats_url, **nats)
    await stage.open()
    try:
        yield stage
    finally:
        await stage.close()
