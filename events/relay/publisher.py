"""Copies the log to the stream EVENTS, in order, so that an event's sequence is its position.

One relay publishes and others stand by. It keeps no checkpoint: the stream's last message is where
it goes on. It trusts no publish that failed; after any error it asks the stream again. Lost streams
it makes anew and fills from the log. If stream and log tell different stories it stops with an
alarm until an operator has reconciled them.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from events.contracts.subjects import EVENTS_STREAM
from events.relay.agreement import check_agreement
from events.relay.alarm import Alarm
from events.relay.checkpoints import Checkpoints, ReadsCheckpoints
from events.relay.frames import HEADERS_BYTES_MAX, Row
from events.relay.streams import declare
from events.relay.tail import LogEnd, Tail
from events.relay.window import ANSWER_SECONDS_MAX, PublishFailed, Window
from events.store.codec import STATE_BYTES_MAX
from infrastructure import metrics
from infrastructure.broker import Broker, NotConnected
from infrastructure.clock import Clock, SystemClock
from infrastructure.health import Check, CheckFailed
from infrastructure.leadership import Leadership, Leads
from infrastructure.periodic import Counts
from infrastructure.postgres import Role
from infrastructure.settings import NatsSettings, PostgresSettings

LEADERSHIP: Final = "relay"
RUN_EVENTS_MAX: Final = 20_000
VERIFY_SECONDS: Final = 2.0
STANDBY_SECONDS: Final = 0.5
COMPARED_AT_START: Final = 16
STUCK_SECONDS_MAX: Final = 20.0

log = structlog.get_logger(__name__)


class PayloadLimitTooLow(Exception):
    """NATS refuses messages as large as an event may be; raise its `max_payload` to 1MB."""


class Relay:
    """A service for `ServiceLoop`; wake it when something was appended."""

    name = "relay"

    def __init__(
        self,
        broker: Broker,
        postgres: PostgresSettings,
        nats: NatsSettings,
        *,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
        stuck_seconds_max: float = STUCK_SECONDS_MAX,
        verify_seconds: float = VERIFY_SECONDS,
        clock: Clock | None = None,
        log_end: LogEnd | None = None,
        checkpoints: ReadsCheckpoints | None = None,
        leadership: Leads | None = None,
    ) -> None:
        """The last three stand for PostgreSQL; without them it is reached by the settings."""
        self._broker = broker
        self._postgres = postgres
        self._nats = nats
        self._answer_seconds_max = answer_seconds_max
        self._stuck_seconds_max = stuck_seconds_max
        self._verify_seconds = verify_seconds
        self._clock = clock or SystemClock()
        self._checkpoints = checkpoints or Checkpoints(postgres)
        self._leadership = leadership or Leadership(postgres.dsn, Role.RELAY, LEADERSHIP)
        self._inbox = f"_INBOX.relay.{uuid4().hex}"
        self._sessions = 0
        self._window: Window | None = None
        self._tail = log_end or Tail(postgres)
        self._alarm = Alarm()
        self._tried_at = self._verified_at = -VERIFY_SECONDS
        self._compare = COMPARED_AT_START
        self._stuck: tuple[int, float] | None = None

    @property
    def position(self) -> int | None:
        """The last position known to be in the stream; None while it is not known."""
        return None if self._window is None else self._window.stored

    @property
    def check(self) -> Check:
        """Readiness: there is no alarm."""

        async def probe() -> str | None:
            if self._alarm.code is not None:
                raise CheckFailed(self._alarm.code)
            return "leads" if self._leadership.is_held else "stands by"

        return Check(probe)

    async def start(self) -> None:
        """Listen for the stream's answers."""
        await self._broker.subscribe(f"{self._inbox}.>", self._answered)

    async def run_once(self) -> Counts:
        """Publish what was appended, if this relay leads."""
        try:
            if not await self._leads():
                return Counts()
            if self._is_unsure and await self._synchronise() == self.position:
                # What is appended from now on rings for a run of its own.
                metrics.RELAY_LAG_SECONDS.set(0)
                return Counts()
            return await self._publish()
        except BaseException as error:
            self._let_go(error)
            raise

    async def stop(self) -> None:
        """Let a standby take over at once."""
        self._forget()
        await self._leadership.release()

    async def _leads(self) -> bool:
        was_held = self._leadership.is_held
        if not was_held:
            if time.monotonic() - self._tried_at < STANDBY_SECONDS:
                return False
            self._tried_at = time.monotonic()
        if not await self._leadership.hold():
            self._forget()
            return False
        if not was_held:
            self._forget()
            self._compare = COMPARED_AT_START
        return True

    @property
    def _is_unsure(self) -> bool:
        """Whether the stream has to be looked at before anything is published."""
        age = time.monotonic() - self._verified_at
        return age >= self._verify_seconds or self._window is None

    async def _synchronise(self) -> int:
        """Make sure of the streams, compare stream and log, and go on from the stream's end.

        Returns the last position of the log.
        """
        if not self._broker.connected:
            raise NotConnected
        client, jetstream = self._broker.client, self._broker.jetstream
        if client.max_payload < STATE_BYTES_MAX + HEADERS_BYTES_MAX:
            raise PayloadLimitTooLow(PayloadLimitTooLow.__doc__)
        state = (await declare(jetstream, self._nats, self._checkpoints.first_wanted)).state
        # After the state: the stream holds nothing that the log had not recorded by then.
        head = await self._tail.head()
        await check_agreement(jetstream, self._tail.fetch_row, state, head, self._compare)
        if self._is_stuck(state.last_seq, head):
            await self._delete_stuck_stream(jetstream, state.last_seq)
            state = (await declare(jetstream, self._nats, self._checkpoints.first_wanted)).state
        if self._window is None or self._window.stored != state.last_seq:
            self._go_on_from(state.last_seq)
        metrics.RELAY_LAG_EVENTS.set(head - state.last_seq)
        self._compare = 1
        self._verified_at = time.monotonic()
        self._alarm.clear()
        return head

    def _is_stuck(self, last: int, head: int) -> bool:
        """Whether publishing has failed at one and the same place for too long."""
        if self._stuck is None or last != self._stuck[0] or last == head:
            self._stuck = None
            return False
        return time.monotonic() - self._stuck[1] >= self._stuck_seconds_max

    async def _delete_stuck_stream(self, jetstream: JetStreamContext, last: int) -> None:
        """Give up a stream that answers questions but stores nothing; all of it is in the log.

        So it is when its folder was deleted under the server, or its disk was full for a while.
        """
        log.error("stream_given_up", stream=EVENTS_STREAM, last=last)
        await jetstream.delete_stream(EVENTS_STREAM)
        self._stuck = self._window = None

    def _go_on_from(self, position: int) -> None:
        """Begin a session with an inbox of its own: answers to an earlier one must not count."""
        reason = "lost" if self._window is not None else "began"
        metrics.RELAY_RESYNCS.labels(reason).inc()
        metrics.RELAY_POSITION.set(position)
        self._sessions += 1
        self._window = Window(
            self._broker.client,
            f"{self._inbox}.{self._sessions}",
            position,
            answer_seconds_max=self._answer_seconds_max,
        )
        log.info("relay_synchronised", position=position)

    async def _publish(self) -> Counts:
        window = self._window
        if window is None:
            raise NotConnected
        began, first = time.perf_counter(), window.sent
        rows, is_more = await self._tail.read(first)
        while rows:
            age = self._clock.now() - rows[0]["recorded_at"]
            metrics.RELAY_LAG_SECONDS.set(max(0.0, age.total_seconds()))
            read_on = is_more and rows[-1]["notification_id"] - first < RUN_EVENTS_MAX
            rows, is_more = await self._send(window, rows, read_on=read_on)
        await window.drain()
        return self._count(window, window.stored - first, time.perf_counter() - began)

    async def _send(
        self, window: Window, rows: Sequence[Row], *, read_on: bool
    ) -> tuple[Sequence[Row], bool]:
        """Send a page, and read the next one while it is on its way."""
        if not read_on:
            await window.send(rows)
            return (), False
        reading = asyncio.create_task(self._tail.read(rows[-1]["notification_id"]))
        try:
            await window.send(rows)
            return await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _count(self, window: Window, published: int, seconds: float) -> Counts:
        if published:
            self._stuck = None
            metrics.RELAY_PUBLISHED.inc(published)
            metrics.RELAY_POSITION.set(window.stored)
            metrics.RELAY_BATCH_SECONDS.observe(seconds)
        if published < RUN_EVENTS_MAX:
            metrics.RELAY_LAG_SECONDS.set(0)
        return Counts(more=published >= RUN_EVENTS_MAX, published=published)

    def _answered(self, message: Msg) -> None:
        window = self._window
        if window is not None and message.subject.startswith(f"{window.inbox}."):
            window.answered(message)

    def _let_go(self, error: BaseException) -> None:
        """After an error nothing is known any more."""
        window = self._window
        if isinstance(error, PublishFailed) and window is not None:
            if self._stuck is None or self._stuck[0] != window.stored:
                self._stuck = (window.stored, time.monotonic())
        else:
            self._stuck = None
        self._alarm.consider(error)
        metrics.RELAY_RESYNCS.labels(type(error).__name__).inc()
        self._forget()

    def _forget(self) -> None:
        self._window = None
        self._tail.let_go()
