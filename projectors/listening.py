"""FastStream's connection of the projector, made in the background and for as long as it takes.

Nothing waits for it: while NATS is away the runner follows the log, and subscribers start as soon
as there is a connection.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog
from faststream.nats import NatsBroker

from infrastructure.broker import UNAVAILABLE
from projectors.eager_pull import EagerJetStream, parse_headers

STOP_SECONDS_MAX: Final = 5.0

log = structlog.get_logger(__name__)


class Listening:
    """One broker; `always` are the subscribers that listen from the first connection on."""

    def __init__(self, broker: NatsBroker, *, batch_max: int) -> None:
        self.broker = broker
        self.always: list[Any] = []
        self._batch_max = batch_max
        self._connecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._connecting = asyncio.create_task(self._connect(), name="faststream")

    async def connected(self) -> None:
        """Wait for the first connection."""
        if self._connecting is not None:
            await asyncio.shield(self._connecting)

    async def stop(self) -> None:
        """Stop all subscribers and close the connection."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await self.broker.stop()
        except UNAVAILABLE as error:
            log.debug("faststream_stop_failed", error=repr(error))

    async def _connect(self) -> None:
        client = await self.broker.connect()
        client._parse_header_lines = parse_headers  # type: ignore[method-assign]
        # FastStream asks this context for its pull subscriptions.
        jetstream = EagerJetStream(client, self._batch_max)
        self.broker.config.connection_state.connect(client, jetstream)
        await _start(self.always)


async def _start(subscribers: Sequence[Any]) -> None:
    for subscriber in subscribers:
        await subscriber.start()
