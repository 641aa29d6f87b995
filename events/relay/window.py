"""Publishes rows in pieces, many of them on their way at once, and counts their answers.

Nothing is tried again here: the first refusal, silence or lost connection ends the window, and the
relay asks the stream how far it came. A published event is never taken back.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import orjson
from nats.aio.msg import Msg

from events.relay.frames import Framer, Row
from infrastructure.nats_client import LastingClient

PIECE_EVENTS_MAX: Final = 50
PIECE_BYTES_MAX: Final = 128 * 1024
WINDOW_EVENTS_MAX: Final = 1_000
WINDOW_BYTES_MAX: Final = 4 * 1024**2
ANSWER_SECONDS_MAX: Final = 5.0
LOOK_SECONDS: Final = 0.1
"""How often a wait for answers looks whether the connection is still the same."""


class PublishFailed(Exception):
    """It is not known how far the stream came; the relay must ask it."""


class PublishRefused(PublishFailed):
    """The stream refused an event, or stored it at another place than its position."""


class ConnectionChanged(PublishFailed):
    """The connection was lost while events were on their way."""


class AnswersMissing(PublishFailed):
    """The server did not answer in time."""


class Window:
    """One publishing session: from a known end of the stream to the first failure."""

    def __init__(
        self,
        client: LastingClient,
        inbox: str,
        position: int,
        *,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
    ) -> None:
        self.inbox = inbox
        self.sent = position
        """The last position that was sent."""
        self.stored = position
        """The last position that the stream has confirmed."""
        self._began_at = position
        self._client = client
        self._framer = Framer(inbox)
        self._answer_seconds_max = answer_seconds_max
        self._reconnects = client.stats["reconnects"]
        self._under_way: deque[tuple[int, int]] = deque()
        self._bytes_under_way = 0
        self._failure: PublishFailed | None = None
        self._answered = asyncio.Event()
        self._answered_at = time.monotonic()

    async def send(self, rows: Sequence[Row]) -> None:
        """Send consecutive rows, waiting for room; raises PublishFailed."""
        for piece, size in _pieces(rows, is_first=self.sent == self._began_at):
            while not self._has_room(len(piece), size):
                await self._wait()
            if self._failure is not None:
                raise self._failure
            if not self._under_way:
                self._answered_at = time.monotonic()
            self.sent = piece[-1]["notification_id"]
            self._under_way.append((self.sent, size))
            self._bytes_under_way += size
            await self._client.send(self._framer.frames(piece))

    async def drain(self) -> None:
        """Wait until all that was sent is stored; raises PublishFailed."""
        while self._under_way or self._failure is not None:
            await self._wait()

    def answered(self, message: Msg) -> None:
        """Take one answer of the stream."""
        position = int(message.subject.rpartition(".")[2])
        reason = _refusal(message, position)
        if reason is not None:
            self._failure = self._failure or PublishRefused(reason)
        while self._failure is None and self._under_way and self._under_way[0][0] <= position:
            # An answer stands for every piece before it too: each names the one before.
            self.stored, size = self._under_way.popleft()
            self._bytes_under_way -= size
        self._answered_at = time.monotonic()
        self._answered.set()

    def _has_room(self, events: int, size: int) -> bool:
        if not self._under_way:
            return True
        return (
            self.sent - self.stored + events <= WINDOW_EVENTS_MAX
            and self._bytes_under_way + size <= WINDOW_BYTES_MAX
        )

    async def _wait(self) -> None:
        """Wait for the next answer; raises PublishFailed."""
        self._answered.clear()
        if self._failure is not None:
            raise self._failure
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._answered.wait()
        except TimeoutError:
            self._look()

    def _look(self) -> None:
        if not self._client.is_ready or self._client.stats["reconnects"] != self._reconnects:
            self._failure = ConnectionChanged(ConnectionChanged.__doc__)
        elif time.monotonic() - self._answered_at > self._answer_seconds_max:
            self._failure = AnswersMissing(AnswersMissing.__doc__)


def _refusal(message: Msg, position: int) -> str | None:
    """Why an answer is not the confirmation of this position."""
    if not message.data:
        return "no stream takes the subject"
    try:
        answer = orjson.loads(message.data)
        if "error" in answer:
            return f"{answer['error'].get('err_code')}: {answer['error'].get('description')}"
        return None if answer["seq"] == position else f"{position} was stored as {answer['seq']}"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"an answer that is none: {error!r}"


def _pieces(rows: Sequence[Row], *, is_first: bool = False) -> Iterator[tuple[Sequence[Row], int]]:
    """Cut rows into pieces of limited events and bytes; a larger event is a piece of its own."""
    if is_first and len(rows) > 1:
        # Alone, so that a stream which takes nothing says why: all after it are only out of order.
        yield rows[:1], len(rows[0]["state"])
        rows = rows[1:]
    start = size = 0
    for index, row in enumerate(rows):
        bytes_of_row = len(row["state"])
        is_full = index - start >= PIECE_EVENTS_MAX or size + bytes_of_row > PIECE_BYTES_MAX
        if is_full and index > start:
            yield rows[start:index], size
            start, size = index, 0
        size += bytes_of_row
    if start < len(rows):
        yield rows[start:], size
