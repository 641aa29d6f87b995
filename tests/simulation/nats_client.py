"""NATS as one process reaches it: `Broker` and its client, over the server of the world."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Final

from nats import errors
from nats.aio.msg import Msg
from nats.js.api import (
    ConsumerConfig,
    ConsumerInfo,
    RawStreamMsg,
    StreamConfig,
    StreamInfo,
    StreamState,
)
from nats.js.errors import NotFoundError

from infrastructure.broker import NotConnected
from tests.simulation.nats_server import Link, Message, SimNats, Stream, Subscription
from tests.simulation.process import SimProcess
from tests.simulation.virtual_time import NOON

RECONNECT_SECONDS: Final = 0.2
API_SECONDS_MAX: Final = 1.0

Callback = Callable[[Msg], Any]


class SimListening:
    """A subscription that outlives every connection."""

    def __init__(self, broker: "SimBroker", subject: str, callback: Callback) -> None:
        self.subject = subject
        self._broker = broker
        self._callback = callback
        self._subscription: Subscription | None = None

    def attach(self, link: Link) -> None:
        """Subscribe on a connection."""
        self._subscription = self._broker.server.subscribe(link, self.subject, self._deliver)

    async def unsubscribe(self) -> None:
        """Hear no more."""
        if self in self._broker.listening:
            self._broker.listening.remove(self)
        if self._subscription is not None:
            self._broker.server.unsubscribe(self._subscription)

    def _deliver(
        self, subject: str, reply: str, body: bytes, headers: dict[str, str] | None
    ) -> None:
        process = self._broker.process
        if not process.alive or not process.thawed.is_set():
            return
        message = Msg(self._broker.client, subject, reply, body, headers)  # type: ignore[arg-type]
        answer = self._callback(message)
        if inspect.isawaitable(answer):
            process.run(_awaited(answer))


async def _awaited(answer: Any) -> None:
    await answer


class SimClient:
    """What the product uses of the client."""

    max_payload = 1024**2

    def __init__(self, broker: "SimBroker") -> None:
        self._broker = broker
        self._inboxes = 0
        self.stats = {"reconnects": 0}

    @property
    def is_ready(self) -> bool:
        """Whether there is a connection."""
        return self._broker.connected

    def new_inbox(self) -> str:
        """A subject nobody else has."""
        self._inboxes += 1
        return f"_INBOX.{self._broker.process.name}.{id(self) % 10_000}.{self._inboxes}"

    async def publish(
        self,
        subject: str,
        payload: bytes = b"",
        reply: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Send one message; nobody knows whether it arrives."""
        link = self._live_link()
        server = self._broker.server
        link.carry(lambda: server.route(link, subject, reply, payload, headers or {}))

    async def send(self, commands: bytes) -> None:
        """Send ready-made frames."""
        for subject, reply, headers, body in _frames(commands):
            await self.publish(subject, body, reply, headers)

    async def request(self, subject: str, payload: bytes = b"", timeout: float = 1.0) -> Msg:
        """Ask and wait for one answer; raises the client's TimeoutError."""
        self._live_link()
        heard: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        inbox = self.new_inbox()
        listening = await self._broker.subscribe(
            inbox, lambda message: heard.done() or heard.set_result(message)
        )
        try:
            await self.publish(subject, payload, reply=inbox)
            async with asyncio.timeout(min(timeout, API_SECONDS_MAX)):
                return await heard
        except TimeoutError:
            raise errors.TimeoutError from None
        finally:
            await listening.unsubscribe()

    async def flush(self, timeout: int = 1) -> None:
        """The server answers in order; this waits a turn."""
        await asyncio.sleep(0)

    def _live_link(self) -> Link:
        self._broker.process.must_live()
        link = self._broker.link
        if link is None or not link.is_up or not self._broker.process.thawed.is_set():
            raise errors.ConnectionReconnectingError
        return link


class SimJetStream:
    """What the relay uses of JetStream's management."""

    def __init__(self, broker: "SimBroker") -> None:
        self._broker = broker

    async def stream_info(self, name: str) -> StreamInfo:
        """What there is in a stream; raises NotFoundError."""
        return _info(await self._stream(name))

    async def add_stream(self, config: StreamConfig) -> StreamInfo:
        """Make it."""
        await self._reached()
        assert config.name is not None
        stream = self._broker.server.streams.get(config.name)
        if stream is None:
            stream = self._broker.server.make(config.name, config, config.first_seq or 1)
        return _info(stream)

    async def update_stream(self, config: StreamConfig) -> StreamInfo:
        """Change it."""
        stream = await self._stream(config.name or "")
        stream.config = config
        return _info(stream)

    async def delete_stream(self, name: str) -> bool:
        """Delete it."""
        await self._stream(name)
        self._broker.server.delete(name)
        return True

    async def consumers_info(self, name: str) -> list[ConsumerInfo]:
        """Its consumers."""
        stream = await self._stream(name)
        return [
            ConsumerInfo(name=each, stream_name=name, config=config, created=NOON)
            for each, config in stream.consumers.items()
        ]

    async def add_consumer(self, name: str, config: ConsumerConfig) -> None:
        """Make or change one."""
        stream = await self._stream(name)
        stream.consumers[config.durable_name or ""] = config

    async def get_msg(self, name: str, seq: int) -> RawStreamMsg:
        """One message; raises NotFoundError."""
        stream = await self._stream(name)
        message: Message | None = stream.messages.get(seq)
        if message is None:
            raise NotFoundError
        return RawStreamMsg(message.subject, seq, message.body, headers=message.headers)

    async def _stream(self, name: str) -> Stream:
        await self._reached()
        stream = self._broker.server.streams.get(name)
        if stream is None:
            raise NotFoundError
        return stream

    async def _reached(self) -> None:
        """A question and its answer, as far as chance goes: either may be lost with the link."""
        link = self._broker.client._live_link()
        crossed = asyncio.Event()
        link.carry(crossed.set)
        try:
            async with asyncio.timeout(API_SECONDS_MAX):
                await crossed.wait()
        except TimeoutError:
            raise errors.TimeoutError from None
        self._broker.process.must_live()


class SimBroker:
    """The connection of one process; it comes back for ever."""

    def __init__(self, process: SimProcess, server: SimNats) -> None:
        self.process = process
        self.server = server
        self.link: Link | None = None
        self.listening: list[SimListening] = []
        self.client = SimClient(self)
        self._jetstream = SimJetStream(self)
        process.on_death.append(self._die)
        self._connect_later()

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as this side knows."""
        return self.link is not None and self.link.is_up

    @property
    def jetstream(self) -> SimJetStream:
        """JetStream's management; raises NotConnected before the first connection."""
        if self.link is None:
            raise NotConnected
        return self._jetstream

    def ring(self, subject: str, body: bytes = b"") -> None:
        """Tell whoever listens, if that is possible now."""
        if self.connected and self.process.alive and self.process.thawed.is_set():
            link = self.link
            assert link is not None
            link.carry(lambda: self.server.route(link, subject, "", body, {}))

    async def subscribe(self, subject: str, to: Callback, *, group: str = "") -> SimListening:
        """Hear a subject over every connection to come."""
        listening = SimListening(self, subject, to)
        self.listening.append(listening)
        if self.connected and self.link is not None:
            listening.attach(self.link)
        return listening

    def _connect(self) -> None:
        if not self.process.alive:
            return
        link = self.server.connect(self._connect_later)
        if link is None:
            self._connect_later()
            return
        if self.link is not None:
            self.client.stats["reconnects"] += 1
        self.link = link
        for each in list(self.listening):
            each.attach(link)

    def _connect_later(self) -> None:
        asyncio.get_running_loop().call_later(RECONNECT_SECONDS, self._connect)

    def _die(self) -> None:
        if self.link is not None:
            self.server.cut(self.link)


def _info(stream: Stream) -> StreamInfo:
    state = stream.info()["state"]
    return StreamInfo(
        config=stream.config,
        state=StreamState(
            messages=state["messages"],
            bytes=0,
            first_seq=state["first_seq"],
            last_seq=state["last_seq"],
            consumer_count=len(stream.consumers),
        ),
    )


def _frames(commands: bytes) -> list[tuple[str, str, dict[str, str], bytes]]:
    """Read `HPUB subject [reply] header-bytes all-bytes`, one after the other."""
    found, at = [], 0
    while at < len(commands):
        end = commands.index(b"\r\n", at)
        words = commands[at:end].decode().split(" ")
        header_bytes, all_bytes = int(words[-2]), int(words[-1])
        reply = words[2] if len(words) == 5 else ""
        start = end + 2
        lines = commands[start : start + header_bytes].decode().split("\r\n")[1:]
        headers = dict(line.split(": ", 1) for line in lines if line)
        body = commands[start + header_bytes : start + all_bytes]
        found.append((words[1], reply, headers, body))
        at = start + all_bytes + 2
    return found
