"""Tells whether stream and log tell the same story, and up to which position they do.

Each position is written once, so if the last message of the stream is the row of that position, all
before it are too. They differ after Postgres was restored from a backup, or when a stranger
published into the stream. It is found here; only an operator mends it (`relay reconcile`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg, StreamState
from nats.js.errors import NotFoundError

from events.contracts.subjects import EVENTS_STREAM, HEADER_AGGREGATE, HEADER_VERSION
from events.relay.frames import Row

READ_ROW: Final = """
SELECT notification_id, originator_id, originator_version, state
  FROM event_store.stored_events WHERE notification_id = $1
"""

FetchRow = Callable[..., Awaitable[Any]]
"""`fetchrow` of an asyncpg connection or pool."""


class Disagreement(Exception):
    """The stream EVENTS and the log tell different stories."""

    code: ClassVar[str] = "STREAM_DISAGREES"


class StreamAhead(Disagreement):
    """The stream holds events that the log does not have: was Postgres restored from a backup?"""

    code: ClassVar[str] = "STREAM_AHEAD_OF_LOG"


class StreamDiverged(Disagreement):
    """The stream holds another event at a position than the log."""

    code: ClassVar[str] = "STREAM_DIVERGED"


async def check_agreement(
    jetstream: JetStreamContext, fetch_row: FetchRow, state: StreamState, head: int, depth: int
) -> None:
    """Compare the last `depth` messages with the log; raises Disagreement.

    `head` must have been read after `state`: the stream may grow in between.
    """
    if state.last_seq > head:
        raise StreamAhead(f"{StreamAhead.__doc__} ({state.last_seq} > {head})")
    if not state.messages:
        return
    first = max(state.first_seq, state.last_seq - depth + 1)
    positions = range(first, state.last_seq + 1)
    messages = await asyncio.gather(*(_message(jetstream, position) for position in positions))
    for position, message in zip(positions, messages, strict=True):
        if message is not None and not agrees(message, await fetch_row(READ_ROW, position)):
            raise StreamDiverged(f"{StreamDiverged.__doc__} ({position})")


async def last_agreed(
    jetstream: JetStreamContext, fetch_row: FetchRow, state: StreamState, head: int
) -> int | None:
    """The last position at which both are the same; None if the stream's oldest differs already.

    Bisects: once they differ, they differ for ever after. An empty stream tells nothing: None.
    """
    if not state.messages:
        return None
    low, high = state.first_seq - 1, min(state.last_seq, head)
    while low < high:
        middle = (low + high + 1) // 2
        message = await _message(jetstream, middle)
        if message is not None and agrees(message, await fetch_row(READ_ROW, middle)):
            low = middle
        else:
            high = middle - 1
    return low if low >= state.first_seq else None


def agrees(message: RawStreamMsg, row: Row | None) -> bool:
    """Whether a message of the stream is this row of the log."""
    headers = message.headers or {}
    return (
        row is not None
        and (message.data or b"") == row["state"]
        and headers.get(HEADER_AGGREGATE) == str(row["originator_id"])
        and headers.get(HEADER_VERSION) == str(row["originator_version"])
    )


async def _message(jetstream: JetStreamContext, position: int) -> RawStreamMsg | None:
    try:
        return await jetstream.get_msg(EVENTS_STREAM, seq=position)
    except NotFoundError:
        return None
