"""Reads the end of the log for the dispatcher, straight from Postgres.

One read brings a whole batch for the price of a few messages, and one hop earlier than the stream
would; the bell only says when to look. The connection is kept on the one plan that suits the query.
"""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from events.contracts.envelope import RecordedRow
from events.store import statements
from events.store.log import TAIL_SETTINGS, recorded_row
from infrastructure.postgres import Role
from processors.session import Session


class Tail(Protocol):
    """What the dispatcher reads of the log; `MemoryLog` gives it too."""

    async def read_after(self, position: int, limit: int) -> Sequence[RecordedRow]:
        """The rows after a position, in order."""
        ...

    async def first_event(self, originator_id: UUID) -> RecordedRow | None:
        """The event that began an aggregate."""
        ...


class PostgresTail:
    """The end of the log in PostgreSQL."""

    def __init__(self, dsn: str, role: Role | None = Role.PROCESSORS) -> None:
        self._session = Session(dsn, role, prepare=TAIL_SETTINGS)

    async def read_after(self, position: int, limit: int) -> Sequence[RecordedRow]:
        """See `Tail.read_after`."""
        rows = await self._session.fetch(statements.READ_AFTER, position, limit)
        return [recorded_row(row) for row in rows]

    async def first_event(self, originator_id: UUID) -> RecordedRow | None:
        """See `Tail.first_event`."""
        rows = await self._session.fetch(statements.FIND_FIRST, originator_id)
        return recorded_row(rows[0]) if rows else None

    async def close(self) -> None:
        """Let go of the connection."""
        await self._session.close()
