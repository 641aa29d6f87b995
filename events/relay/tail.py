"""Reads the end of the log, page by page, on one connection that is pinned to the index."""

from collections.abc import Sequence
from typing import Final, Protocol

from events.relay.agreement import Disagreement
from events.relay.frames import Row
from events.store.log import TAIL_SETTINGS
from events.store.statements import READ_AFTER, READ_HEAD
from infrastructure.postgres import Connection, Role, connect
from infrastructure.settings import PostgresSettings

PAGE_ROWS_FIRST: Final = 64
PAGE_ROWS_MAX: Final = 1_000
PAGE_BYTES_TARGET: Final = 2 * 1024**2
PAGE_GROWTH_MAX: Final = 4


class LogHole(Disagreement):
    """The log has no event at a position below its head: it was damaged or tampered with."""

    code = "LOG_HOLE"


class LogEnd(Protocol):
    """What the relay reads of the log."""

    async def head(self) -> int:
        """The position of the newest event."""
        ...

    async def fetch_row(self, statement: str, position: int) -> Row | None:
        """One row, by position."""
        ...

    async def read(self, position: int) -> tuple[Sequence[Row], bool]:
        """The next page after a position, and whether there may be more; raises LogHole."""
        ...

    def let_go(self) -> None:
        """Drop what is under way."""
        ...


class Tail:
    """The reading side of the relay; it connects when it is asked and after `let_go` anew."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._connection: Connection | None = None
        self._rows_max = PAGE_ROWS_FIRST

    async def head(self) -> int:
        """The position of the newest event."""
        return int(await (await self._connected()).fetchval(READ_HEAD))

    async def fetch_row(self, statement: str, position: int) -> Row | None:
        """One row, by position."""
        return await (await self._connected()).fetchrow(statement, position)

    async def read(self, position: int) -> tuple[Sequence[Row], bool]:
        """The next page after a position, and whether there may be more; raises LogHole."""
        asked = self._rows_max
        rows = await (await self._connected()).fetch(READ_AFTER, position, asked)
        if not rows:
            return (), False
        if rows[-1]["notification_id"] != position + len(rows):
            raise LogHole(f"{LogHole.__doc__} (after {position})")
        self._learn(rows)
        return rows, len(rows) == asked

    def let_go(self) -> None:
        """Drop the connection, whatever it is doing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _learn(self, rows: Sequence[Row]) -> None:
        """Keep the next page to a few megabytes, also when events are large."""
        mean = sum(len(row["state"]) for row in rows) // len(rows) + 1
        fitting = max(1, min(PAGE_ROWS_MAX, PAGE_BYTES_TARGET // mean))
        self._rows_max = min(fitting, self._rows_max * PAGE_GROWTH_MAX)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(
                self._settings.dsn,
                Role.RELAY,
                timeout_seconds=self._settings.database_timeout_seconds,
                prepare=TAIL_SETTINGS,
            )
        return self._connection
