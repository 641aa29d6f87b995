"""Connects to NATS for ever: the first time in a loop of its own, then after every loss.

Nothing here gives up. What was not sent when a connection broke is thrown away and not sent later,
unless a buffer was asked for; so a publish that failed stays failed, if the server had not got it.
"""

import asyncio
import random
from typing import Any, Final

import structlog
from nats import errors
from nats.aio.client import Client
from nats.protocol.parser import PERMISSIONS_ERR

from infrastructure import metrics
from infrastructure.settings import NatsSettings

CONNECT_SECONDS_MAX: Final = 2
RECONNECT_SECONDS: Final = 0.5
RECONNECT_JITTER_SECONDS: Final = 0.25
PING_SECONDS: Final = 5
PINGS_UNANSWERED_MAX: Final = 2
STOP_SECONDS_MAX: Final = 3.0
DRAIN_SECONDS_MAX: Final = 10.0

UNAVAILABLE: tuple[type[BaseException], ...] = (errors.Error, OSError, TimeoutError)
"""What nats-py raises when the server is away, refuses, or does not answer in time."""

log = structlog.get_logger(__name__)


async def connect(
    settings: NatsSettings, name: str, *, buffer_bytes_max: int = 0
) -> "LastingClient":
    """Connect, for as long as it takes; the client then reconnects for ever by itself.

    `buffer_bytes_max` is what may be published while there is no connection, to be sent after the
    next one is made; 0 refuses it (OutboundBufferLimitError).
    """
    while True:
        client = LastingClient()
        try:
            await client.connect(**_options(settings, name, buffer_bytes_max))
        except asyncio.CancelledError:
            await client.give_up()
            raise
        except Exception as error:
            # nats-py tries for ever too, but a connection that ends at a bad moment escapes it.
            log.debug("broker_connect_failed", error=repr(error))
            await client.give_up()
            await asyncio.sleep(RECONNECT_SECONDS)
        else:
            metrics.BROKER_CONNECTED.set(1)
            log.info("broker_connected", client=name)
            return client


def _options(settings: NatsSettings, name: str, buffer_bytes_max: int) -> dict[str, Any]:
    watch = _Watch(name)
    return {
        "servers": [server.strip() for server in settings.nats_url.split(",")],
        "name": name,
        "connect_timeout": CONNECT_SECONDS_MAX,
        "max_reconnect_attempts": -1,
        # One wait for each process: they come back at different moments.
        "reconnect_time_wait": RECONNECT_SECONDS
        + random.uniform(0, RECONNECT_JITTER_SECONDS),  # noqa: S311
        "ping_interval": PING_SECONDS,
        "max_outstanding_pings": PINGS_UNANSWERED_MAX,
        "pending_size": buffer_bytes_max,
        "error_cb": watch.failed,
        "disconnected_cb": watch.disconnected,
        "reconnected_cb": watch.reconnected,
        "closed_cb": watch.closed,
    }


class _Watch:
    """Turns what a client tells into metrics and into one log line for each kind of trouble."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._kinds: set[str] = set()
        self._is_down = False

    async def failed(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind not in self._kinds:
            self._kinds.add(kind)
            log.warning("broker_failed", client=self._name, kind=kind, error=str(error))

    async def disconnected(self) -> None:
        metrics.BROKER_CONNECTED.set(0)
        if not self._is_down:
            log.warning("broker_disconnected", client=self._name)
        self._is_down = True

    async def reconnected(self) -> None:
        metrics.BROKER_CONNECTED.set(1)
        metrics.BROKER_RECONNECTS.inc()
        self._kinds.clear()
        self._is_down = False
        log.info("broker_reconnected", client=self._name)

    async def closed(self) -> None:
        metrics.BROKER_CONNECTED.set(0)


class LastingClient(Client):
    """nats-py's client without the three ways in which it stops reconnecting.

    They are: an error line of the server closes it for good; an error that it does not expect (a
    connection that ends while it is made, on uvloop) ends its reconnecting task; and it waits for
    the old connection to take what is left to send, which a vanished peer never does. What it
    takes is internal to nats-py; the tests of this module fail if that changes.
    """

    _is_settled = True

    @property
    def is_ready(self) -> bool:
        """Whether there is a connection and every subscription is back on it.

        nats-py says `is_connected` before it subscribes again; an answer could then be missed.
        """
        return self.is_connected and self._is_settled

    async def send(self, commands: bytes) -> None:
        """Send ready-made publish commands in one piece; raises ConnectionReconnectingError.

        For whoever publishes in bulk: it costs a fifth of `publish`. What goes in is not checked.
        """
        if not self.is_ready:
            raise errors.ConnectionReconnectingError
        await self._send_command(commands)
        await self._flush_pending()

    async def _process_err(self, err_msg: str) -> None:
        if PERMISSIONS_ERR in err_msg:
            await super()._process_err(err_msg)
            return
        error = errors.Error(f"nats: {err_msg}")
        await self._error_cb(error)
        await self._process_op_err(error)

    async def _attempt_reconnect(self) -> None:
        while not self.is_closed:
            self._is_settled = False
            self._abort()
            try:
                await super()._attempt_reconnect()
                self._is_settled = self.is_connected
                return
            except Exception as error:
                await self._error_cb(error)
                self._status = Client.RECONNECTING
                await asyncio.sleep(RECONNECT_SECONDS)

    def _abort(self) -> None:
        """Drop the connection with what it has not sent."""
        if self._max_pending_size == 0:
            # Subscriptions are not lost with it: they are made again from their own list.
            self._pending.clear()
            self._pending_data_size = 0
        for name in ("_io_writer", "_bare_io_writer"):
            writer = getattr(self._transport, name, None)
            if writer is not None:
                writer.transport.abort()

    async def drain(self) -> None:
        """Finish what subscriptions have begun, then close; close only, if there is no server."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                await super().drain()
        except UNAVAILABLE as error:
            log.debug("broker_drain_failed", error=repr(error))
            await self.give_up()

    async def give_up(self) -> None:
        """Close without waiting for anybody."""
        self._abort()
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await self.close()
        except Exception as error:
            log.debug("broker_close_failed", error=repr(error))
