"""Reads the log: after a position, or the history of an aggregate.

A position is visible only when everything below it is: commits happen in the order of positions. So
a reader that has seen position n has missed nothing up to n, and needs no gap detection.
"""

from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

import asyncpg

from events.contracts.envelope import RecordedRow
from events.store import statements
from infrastructure.postgres import Pool

ROWS_MAX: Final = 10_000
"""The most rows one read returns."""
VERSION_MAX: Final = 2**62
STREAM_EVENTS_MAX: Final = 100_000
"""The longest history of one aggregate that is read at once."""

TAIL_SETTINGS: Final = (
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off"
)
"""For a connection that tails the log: its one query must stay on the index (see ADR 3)."""


class Log(Protocol):
    """Reading the log; held to one suite of tests with its in-memory twin."""

    async def read_after(self, position: int, limit: int = ROWS_MAX) -> Sequence[RecordedRow]:
        """The rows after a position, in order, at most `limit`."""
        ...

    async def read_stream(
        self, originator_id: UUID, *, after_version: int = 0, up_to: int = VERSION_MAX
    ) -> Sequence[RecordedRow]:
        """The history of one aggregate, in order; empty if there is none."""
        ...

    async def read_streams(self, ids: Sequence[UUID]) -> dict[UUID, list[RecordedRow]]:
        """The histories of several aggregates in one round trip; absent ones are left out."""
        ...

    async def head(self) -> int:
        """The position of the newest event; 0 for an empty log."""
        ...

    async def first_event(self, originator_id: UUID) -> RecordedRow | None:
        """The event that began an aggregate: one key look-up, for telling absent from late."""
        ...

    async def keys(self, subject_ids: Sequence[UUID]) -> dict[UUID, bytes]:
        """The wrapped keys of these subjects; erased or unknown ones are left out."""
        ...


class PostgresLog:
    """The log in PostgreSQL, read over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read_after(self, position: int, limit: int = ROWS_MAX) -> Sequence[RecordedRow]:
        """See `Log.read_after`."""
        rows = await self._pool.fetch(statements.READ_AFTER, position, min(limit, ROWS_MAX))
        return [recorded_row(row) for row in rows]

    async def read_stream(
        self, originator_id: UUID, *, after_version: int = 0, up_to: int = VERSION_MAX
    ) -> Sequence[RecordedRow]:
        """See `Log.read_stream`."""
        rows = await self._pool.fetch(
            statements.READ_STREAM, originator_id, after_version, up_to, STREAM_EVENTS_MAX
        )
        return [recorded_row(row) for row in rows]

    async def read_streams(self, ids: Sequence[UUID]) -> dict[UUID, list[RecordedRow]]:
        """See `Log.read_streams`."""
        streams: dict[UUID, list[RecordedRow]] = {}
        for row in await self._pool.fetch(statements.READ_STREAMS, list(ids)):
            streams.setdefault(row["originator_id"], []).append(recorded_row(row))
        return streams

    async def head(self) -> int:
        """See `Log.head`."""
        position = await self._pool.fetchval(statements.READ_HEAD)
        return int(position)

    async def first_event(self, originator_id: UUID) -> RecordedRow | None:
        """See `Log.first_event`."""
        row = await self._pool.fetchrow(statements.FIND_FIRST, originator_id)
        return None if row is None else recorded_row(row)

    async def keys(self, subject_ids: Sequence[UUID]) -> dict[UUID, bytes]:
        """See `Log.keys`."""
        rows = await self._pool.fetch(statements.READ_KEYS, list(subject_ids))
        return {row["subject_id"]: row["wrapped"] for row in rows}


def recorded_row(row: asyncpg.Record) -> RecordedRow:
    """A row of the database as a value."""
    return RecordedRow(
        position=row["notification_id"],
        originator_id=_plain(row["originator_id"]),
        originator_version=row["originator_version"],
        topic=row["topic"],
        state=row["state"],
        tenant=row["tenant"],
        recorded_at=row["recorded_at"],
    )


def _plain(value: UUID) -> UUID:
    """asyncpg's own UUID class compares equal to the standard one, but is not the same type."""
    return value if type(value) is UUID else UUID(int=value.int)
