"""Takes exactly as many offers from READY as there are places for, and answers each.

nats-py's own `fetch` waits for a full batch or gives up early, and hides how many messages are
still on their way; so this asks the consumer directly and keeps the count itself. What it counts
wrong, because a request was lost with a server, it forgets after `EXPIRES_SECONDS` without a
message.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import orjson
import structlog
from nats.aio.msg import Msg

from events.contracts.subjects import READY_STREAM
from infrastructure.broker import UNAVAILABLE, Broker, Listening
from infrastructure.health import Check, CheckFailed
from processors.ready import CONSUMER

EXPIRES_SECONDS: Final = 20.0
GRACE_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.5
"""How often the connection is looked at while nothing happens."""
REFUSED_PAUSE_SECONDS: Final = 0.5
SMALLEST_SHARE: Final = 8
"""While requests are under way, places wait until this fraction of them is worth a request."""

_NEXT: Final = f"$JS.API.CONSUMER.MSG.NEXT.{READY_STREAM}.{CONSUMER}"
_STATUS: Final = "Status"
_PENDING: Final = "Nats-Pending-Messages"
_TIMED_OUT: Final = "408"

log = structlog.get_logger(__name__)


class Delivery:
    """One offer as it came in; it has to be answered, or comes again."""

    __slots__ = ("_broker", "_message", "body")

    def __init__(self, broker: Broker, message: Msg) -> None:
        self._broker = broker
        self._message = message
        self.body: bytes = message.data

    @property
    def times(self) -> int:
        """How often it was delivered, this time included."""
        # $JS.ACK.<stream>.<consumer>.<deliveries>.… or, in longer forms, after domain and account.
        tokens = self._message.reply.split(".")
        return int(tokens[4] if len(tokens) < 11 else tokens[6])

    async def ack(self) -> None:
        """It is dealt with."""
        await self._answer(b"+ACK")

    async def return_(self, delay_seconds: float = 0.0) -> None:
        """Let somebody have it, after a delay."""
        if delay_seconds:
            delay = orjson.dumps({"delay": int(delay_seconds * 1_000_000_000)})
            await self._answer(b"-NAK " + delay)
        else:
            await self._answer(b"-NAK")

    async def _answer(self, answer: bytes) -> None:
        try:
            await self._broker.client.publish(self._message.reply, answer)
        except UNAVAILABLE as error:
            # It will come again, and the claim decides again.
            log.debug("offer_not_answered", error=repr(error))


class Intake:
    """Asks for offers whenever there are places, until it is closed."""

    def __init__(
        self, broker: Broker, free: Callable[[], int], take: Callable[[Delivery], None]
    ) -> None:
        """`free` says how many places there are, `take` gets each offer that comes in."""
        self._broker = broker
        self._free = free
        self._take = take
        self._inbox = ""
        self._listening: Listening | None = None
        self._under_way = 0
        self._active_at = 0.0
        self._connections = -1
        self._refused: str | None = "not asked yet"
        self._pause_until = 0.0
        self._changed = asyncio.Event()
        self._is_closed = False

    @property
    def check(self) -> Check:
        """Readiness: the consumer takes our requests."""

        async def probe() -> str | None:
            if self._refused is not None:
                raise CheckFailed(self._refused)
            return None

        return Check(probe)

    def places_changed(self) -> None:
        """Look again at how many places there are."""
        self._changed.set()

    def close(self) -> None:
        """Ask for no more; `run` ends."""
        self._is_closed = True
        self._changed.set()

    async def run(self) -> None:
        """Ask, until closed."""
        try:
            while not self._is_closed:
                await self._wait()
                if not self._is_closed:
                    await self._ask_if_worth_it()
        finally:
            if self._listening is not None:
                await self._listening.unsubscribe()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    async def _ask_if_worth_it(self) -> None:
        now = time.monotonic()
        if not self._broker.connected or now < self._pause_until:
            return
        self._forget_lost_requests(now)
        free = self._free()
        wanted = free - self._under_way
        if wanted <= 0 or (self._under_way and wanted < free // SMALLEST_SHARE):
            return
        try:
            await self._listen()
            body = orjson.dumps({"batch": wanted, "expires": int(EXPIRES_SECONDS * 1e9)})
            await self._broker.client.publish(_NEXT, body, reply=self._inbox)
        except UNAVAILABLE as error:
            log.debug("offers_not_asked_for", error=repr(error))
            return
        self._under_way += wanted
        self._active_at = now
        self._refused = None

    def _forget_lost_requests(self, now: float) -> None:
        connections = self._broker.client.stats["reconnects"]
        is_new = connections != self._connections
        is_silent = now - self._active_at > EXPIRES_SECONDS + GRACE_SECONDS
        if is_new or is_silent:
            self._connections = connections
            self._under_way = 0

    async def _listen(self) -> None:
        if self._listening is None:
            self._inbox = self._broker.client.new_inbox()
            self._listening = await self._broker.subscribe(self._inbox, self._received)

    def _received(self, message: Msg) -> None:
        if message.headers and _STATUS in message.headers:
            self._ended(message.headers)
            return
        self._under_way = max(self._under_way - 1, 0)
        self._active_at = time.monotonic()
        self._take(Delivery(self._broker, message))

    def _ended(self, headers: dict[str, str]) -> None:
        """A request is over before it was fulfilled: it took too long, or was refused."""
        status = headers[_STATUS]
        pending = headers.get(_PENDING)
        self._under_way = max(self._under_way - int(pending), 0) if pending else 0
        if status != _TIMED_OUT:
            self._refused = f"status {status}"
            self._pause_until = time.monotonic() + REFUSED_PAUSE_SECONDS
            log.debug("offers_refused", status=status, description=headers.get("Description"))
        self._changed.set()
