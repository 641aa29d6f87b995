"""The bell of a process: subscriptions and rings that outlive every connection to NATS.

A process starts and works while NATS is away. Rings are best effort; whatever must not be lost
stands in the log. Which streams there are is declared elsewhere.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from faststream.nats import JStream, NatsBroker
from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from infrastructure.health import Check, CheckFailed
from infrastructure.nats_client import STOP_SECONDS_MAX, UNAVAILABLE, LastingClient, connect
from infrastructure.settings import NatsSettings

__all__ = [
    "STOP_SECONDS_MAX",
    "UNAVAILABLE",
    "Broker",
    "BrokerSettings",
    "Listening",
    "NotConnected",
    "connect",
    "nats_broker",
    "reactor_check",
    "undeclared",
]

BrokerSettings = NatsSettings

JETSTREAM_SECONDS_MAX: Final = 3.0
GRACEFUL_SECONDS_MAX: Final = 25.0
RINGS_WAITING_MAX: Final = 1_000
MESSAGES_WAITING_MAX: Final = 65_536
BYTES_WAITING_MAX: Final = 32 * 1024**2
REACTOR_BUFFER_BYTES_MAX: Final = 256 * 1024

log = structlog.get_logger(__name__)

Callback = Callable[[Msg], Awaitable[None] | None]
"""Called for each message of a subscription, one after the other."""


class NotConnected(errors.Error):
    """There was no connection to NATS yet."""

    def __str__(self) -> str:
        return str(self.__doc__)


class Listening:
    """A subscription of a Broker; it outlives every connection."""

    def __init__(
        self, subject: str, group: str, callback: Callback, ended: "Callable[[Listening], None]"
    ) -> None:
        self.subject = subject
        self._ended = ended
        self._group = group
        self._callback = callback
        self._subscription: Subscription | None = None
        self._is_to_attach = True

    async def attach(self, client: Client) -> None:
        """Subscribe on a connection; after that nats-py does so on every new one."""
        if self._is_to_attach:
            self._is_to_attach = False
            self._subscription = await client.subscribe(
                self.subject,
                queue=self._group,
                cb=self._call,
                pending_msgs_limit=MESSAGES_WAITING_MAX,
                pending_bytes_limit=BYTES_WAITING_MAX,
            )

    async def unsubscribe(self) -> None:
        """Hear no more."""
        self._is_to_attach = False
        self._ended(self)
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            try:
                await subscription.unsubscribe()
            except errors.Error as error:
                log.debug("broker_unsubscribe_failed", error=repr(error))

    async def _call(self, message: Msg) -> None:
        answer = self._callback(message)
        if inspect.isawaitable(answer):
            await answer


class Broker:
    """The connection of one process."""

    def __init__(self, settings: NatsSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._client: LastingClient | None = None
        self._jetstream: JetStreamContext | None = None
        self._listening: list[Listening] = []
        self._rings: dict[tuple[str, bytes], None] = {}
        self._rung = asyncio.Event()
        self._first_connected = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def connected(self) -> bool:
        """Whether there is a connection now, as far as this side knows."""
        return self._client is not None and self._client.is_ready

    @property
    def client(self) -> LastingClient:
        """The client, the same one for ever; raises NotConnected before the first connection."""
        if self._client is None:
            raise NotConnected
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        """Its JetStream context; raises NotConnected before the first connection."""
        if self._jetstream is None:
            self._jetstream = self.client.jetstream(timeout=JETSTREAM_SECONDS_MAX)
        return self._jetstream

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._tasks = [
            asyncio.create_task(self._connect(), name=f"{self._name} broker"),
            asyncio.create_task(self._ring_all(), name=f"{self._name} rings"),
        ]

    async def stop(self) -> None:
        """Send what was rung, close, and stop connecting."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        client, self._client, self._jetstream = self._client, None, None
        if client is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await self._send_rings(client)
                if client.is_connected:
                    await client.flush(1)
        except UNAVAILABLE as error:
            log.debug("broker_flush_failed", error=repr(error))
        await client.give_up()

    async def wait_connected(self, seconds: float) -> bool:
        """Wait for the first connection; says whether it was made in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._first_connected.wait()
        except TimeoutError:
            return False
        return True

    def ring(self, subject: str, body: bytes = b"") -> None:
        """Tell whoever listens, as best we can: never waits, never raises, drops when it cannot.

        Rings of one subject and body that wait for the same turn of the loop become one.
        """
        if self.connected and len(self._rings) < RINGS_WAITING_MAX:
            self._rings[subject, body] = None
            self._rung.set()

    async def subscribe(
        self, subject: str, to: Callback | asyncio.Queue[Msg], *, group: str = ""
    ) -> Listening:
        """Hear a core subject from now on, over every connection to come.

        `to` is called for each message, or is a queue; a full queue drops the message. `group`
        shares the messages among all subscribers of that group.
        """
        callback = _put_into(to) if isinstance(to, asyncio.Queue) else to
        listening = Listening(subject, group, callback, self._forget)
        self._listening.append(listening)
        if self._client is not None:
            await listening.attach(self._client)
        return listening

    def check(self, *, critical: bool = True) -> Check:
        """Readiness: there is a connection."""

        async def probe() -> str | None:
            return _answer(self.connected)

        return Check(probe, critical=critical)

    def _forget(self, listening: Listening) -> None:
        if listening in self._listening:
            self._listening.remove(listening)

    async def _connect(self) -> None:
        client = await connect(self._settings, self._name)
        self._client = client
        for listening in list(self._listening):
            await listening.attach(client)
        self._first_connected.set()

    async def _ring_all(self) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            try:
                await self._send_rings(self.client)
            except UNAVAILABLE as error:
                log.debug("broker_ring_failed", error=repr(error))

    async def _send_rings(self, client: Client) -> None:
        rings, self._rings = self._rings, {}
        for subject, body in rings:
            await client.publish(subject, body)


def _put_into(queue: asyncio.Queue[Msg]) -> Callback:
    def put(message: Msg) -> None:
        try:
            queue.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("broker_message_dropped", subject=message.subject)

    return put


def _answer(is_connected: bool) -> str | None:
    if not is_connected:
        raise CheckFailed("disconnected")
    return None


class ReactorBroker(NatsBroker):
    """FastStream's broker on a connection of this module."""

    def __init__(self, settings: NatsSettings, name: str, **options: Any) -> None:
        super().__init__(settings.nats_url.split(","), name=name, **options)
        self._settings = settings
        self._client_name = name

    async def _connect(self) -> Client:
        # A small buffer: acknowledgements and requests for more may be sent late.
        client = await connect(
            self._settings, self._client_name, buffer_bytes_max=REACTOR_BUFFER_BYTES_MAX
        )
        self.config.connect(client)
        return client


def nats_broker(settings: NatsSettings, name: str = "magictoolbox", **options: Any) -> NatsBroker:
    """FastStream's broker for projectors and light reactors: reconnects for ever, drains.

    Name streams with `undeclared`, never by a bare string: FastStream rewrites the settings of any
    stream that it thinks is its own.
    """
    defaults: dict[str, Any] = {
        "graceful_timeout": GRACEFUL_SECONDS_MAX,
        "logger": logging.getLogger("faststream.nats"),
        "log_level": logging.DEBUG,
    }
    return ReactorBroker(settings, name, **(defaults | options))


def undeclared(stream: str) -> JStream:
    """A stream that somebody else declares."""
    return JStream(stream, declare=False)


def reactor_check(broker: NatsBroker, *, critical: bool = True) -> Check:
    """Readiness of FastStream's broker: there is a connection."""

    async def probe() -> str | None:
        return _answer(await broker.ping(timeout=1.0))

    return Check(probe, critical=critical)
