"""Pulls a durable consumer without waiting: what has arrived is handed over at once.

FastStream asks its JetStream context for a pull subscription and then fetches from it, filling each
batch until a timeout. The stock subscription makes a task and a timer for every message, and a lone
message waits for the timeout. This one keeps one request for many messages open at the server, so
that they arrive while the last batch is still being written. It never makes or changes a consumer.
"""

import asyncio
import time
from collections import deque
from typing import Any, Final

import orjson
import structlog
from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import StatusCode

REQUEST_MESSAGES: Final = 1_000
WAITING_MAX: Final = 2_000
"""Messages that wait here at most; less than the consumer lets go unanswered."""
REQUEST_SECONDS: Final = 10.0
HEARTBEAT_SECONDS: Final = 1.0
SILENT_SECONDS_MAX: Final = 2.5
"""Without even a heartbeat for so long, the request is taken for lost."""
RETRY_SECONDS: Final = 0.5
"""The pause after a refused request, as while the stream does not exist."""

_STATUS: Final = "Status"
_EXPECTED_ENDS: Final = frozenset({StatusCode.REQUEST_TIMEOUT, StatusCode.NO_MESSAGES})

log = structlog.get_logger(__name__)


class EagerPull:
    """The part of nats-py's pull subscription that FastStream uses.

    Its loop fetches until a batch is full or time is up. A fetch for less than a whole batch is
    such a second round: with nothing here, it is told that time is up, so that the batch in its
    hands is handled at once.
    """

    def __init__(self, client: Client, stream: str, consumer: str, batch_max: int) -> None:
        self._client = client
        self._batch_max = batch_max
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._waiting: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._expected = 0
        self._heard_at = 0.0
        self._not_before = 0.0

    async def open(self) -> None:
        """Listen where messages will arrive."""
        self._subscription = await self._client.subscribe(self._inbox, cb=self._receive)

    async def fetch(
        self, batch: int = 1, timeout: float | None = None, heartbeat: float | None = None
    ) -> list[Msg]:
        """At least one message, at most `batch`; raises TimeoutError if none came in time."""
        if batch < self._batch_max and not self._waiting:
            raise errors.TimeoutError
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._waiting:
            await self._keep_asking()
            self._arrived.clear()
            await self._wait(deadline)
        await self._keep_asking()
        return [self._waiting.popleft() for _ in range(min(batch, len(self._waiting)))]

    async def unsubscribe(self) -> None:
        """Hear no more; what waits here is delivered again to whoever asks next."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            try:
                await subscription.unsubscribe()
            except errors.Error as error:
                log.debug("pull_unsubscribe_failed", error=repr(error))

    async def _wait(self, deadline: float | None) -> None:
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            raise errors.TimeoutError
        seconds = HEARTBEAT_SECONDS if deadline is None else min(HEARTBEAT_SECONDS, deadline - now)
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return

    async def _keep_asking(self) -> None:
        now = time.monotonic()
        if now - self._heard_at > SILENT_SECONDS_MAX:
            self._expected = 0
        if self._expected > 0 or now < self._not_before or len(self._waiting) >= WAITING_MAX:
            return
        request = {
            "batch": REQUEST_MESSAGES,
            "expires": int(REQUEST_SECONDS * 1e9),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9),
        }
        self._expected, self._heard_at = REQUEST_MESSAGES, now
        try:
            await self._client.publish(self._subject, orjson.dumps(request), self._inbox)
        except errors.Error as error:
            log.debug("pull_request_failed", error=repr(error))
            self._pause()

    async def _receive(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        status = message.headers.get(_STATUS) if message.headers else None
        if status is None or message.data:
            self._expected -= 1
            self._waiting.append(message)
            self._arrived.set()
        elif status in _EXPECTED_ENDS:
            self._expected = 0
            self._arrived.set()
        elif status != StatusCode.CONTROL_MESSAGE:
            log.debug("pull_request_ended", status=status, headers=message.headers)
            self._pause()

    def _pause(self) -> None:
        self._expected = 0
        self._not_before = time.monotonic() + RETRY_SECONDS


def parse_headers(raw: bytes) -> dict[str, str]:
    """The headers of a message, without nats-py's look at each character of each name.

    That look was a third of what it costs to receive an event. Names come from our own relay and
    from the server; whatever else a line may hold, it never ends up under a name it does not have.
    """
    pairs = (line.partition(":") for line in raw.decode("utf-8", "replace").split("\r\n"))
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


class EagerJetStream(JetStreamContext):
    """A JetStream context whose pull subscriptions are eager."""

    def __init__(self, client: Client, batch_max: int) -> None:
        super().__init__(client)
        self._client = client
        self._batch_max = batch_max

    async def pull_subscribe(  # type: ignore[override]
        self, subject: str, durable: str, stream: str, **options: Any
    ) -> EagerPull:
        """A pull subscription on a consumer that somebody else declares."""
        pull = EagerPull(self._client, stream, durable, self._batch_max)
        await pull.open()
        return pull
