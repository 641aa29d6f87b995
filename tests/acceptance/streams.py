"""Looks at JetStream itself: is the stream equal to the log, event for event?"""

import asyncio
from dataclasses import dataclass
from typing import Any

import nats
import psycopg

READ_SECONDS = 120.0
PAGE = 500


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where a stream begins and ends."""

    first: int
    last: int


def state_of(nats_url: str, stream: str = "EVENTS") -> StreamState:
    """The stream's first and last sequence numbers."""
    return asyncio.run(_state_of(nats_url, stream))


def differences(nats_url: str, database_url: str) -> list[str]:
    """Where EVENTS differs from the log: a sequence number, a body, a missing event."""
    return asyncio.run(_differences(nats_url, database_url))


def delete_stream(nats_url: str, stream: str) -> None:
    """Delete a stream, as somebody might by hand."""
    asyncio.run(_delete(nats_url, stream))


async def _state_of(nats_url: str, stream: str) -> StreamState:
    connection = await nats.connect(nats_url)
    try:
        found = (await connection.jetstream().stream_info(stream)).state
        return StreamState(found.first_seq, found.last_seq)
    finally:
        await connection.close()


async def _delete(nats_url: str, stream: str) -> None:
    connection = await nats.connect(nats_url)
    await connection.jetstream().delete_stream(stream)
    await connection.close()


async def _differences(nats_url: str, database_url: str) -> list[str]:
    published = await _published(nats_url)
    with psycopg.connect(database_url) as session:
        rows = session.execute(
            "SELECT notification_id, state FROM event_store.stored_events ORDER BY 1"
        ).fetchall()
    recorded = {position: bytes(state) for position, state in rows}
    first = min(published, default=0)
    found = [f"{n} is published and not recorded" for n in published if n not in recorded]
    for position, state in recorded.items():
        if position in published and published[position] != state:
            found.append(f"{position} has another body")
        elif position not in published and position >= first:
            found.append(f"{position} is recorded and not published")
    return found


async def _published(nats_url: str) -> dict[int, bytes]:
    connection = await nats.connect(nats_url)
    bodies: dict[int, bytes] = {}
    try:
        context: Any = connection.jetstream()
        state = (await context.stream_info("EVENTS")).state
        if not state.messages:
            return {}
        async with asyncio.timeout(READ_SECONDS):
            consumer = await context.pull_subscribe("", stream="EVENTS")
            while len(bodies) < state.messages:
                for message in await consumer.fetch(PAGE, timeout=30):
                    bodies[message.metadata.sequence.stream] = message.data
                    await message.ack()
        await consumer.unsubscribe()
    finally:
        await connection.close()
    return bodies
