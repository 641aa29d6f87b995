"""One dedicated connection to PostgreSQL that is opened again after it was lost.

A lost connection is never hidden: the call that meets it raises, and only the next one connects
anew. Whoever must know that it lost touch for a while thereby does.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from infrastructure.postgres import UNAVAILABLE, Connection, Role, connect

_LOST_TOUCH: tuple[type[BaseException], ...] = (*UNAVAILABLE, asyncpg.InternalClientError)


class Session:
    """A connection for one user at a time; asyncpg refuses a second statement meanwhile."""

    def __init__(
        self,
        dsn: str,
        role: Role | None = Role.PROCESSORS,
        *,
        timeout_seconds: float = 10.0,
        prepare: str = "",
    ) -> None:
        """`prepare` is run on each new connection."""
        self._dsn = dsn
        self._role = role
        self._timeout_seconds = timeout_seconds
        self._prepare = prepare
        self._connection: Connection | None = None
        self.cut = asyncio.Event()
        """Set when the connection breaks, also while nobody uses it."""

    async def fetch(self, statement: str, *values: Any) -> Sequence[asyncpg.Record]:
        """Run one statement; raises one of UNAVAILABLE when the database is away."""
        async with self._in_touch() as connection:
            return await connection.fetch(statement, *values)

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[Connection]:
        """Run statements in one transaction."""
        async with self._in_touch() as connection, connection.transaction(**options):
            yield connection

    async def close(self) -> None:
        """Close it; the next call would open it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    @asynccontextmanager
    async def _in_touch(self) -> AsyncIterator[Connection]:
        try:
            yield await self._connected()
        except _LOST_TOUCH:
            await self.close()
            raise

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await connect(
                self._dsn,
                self._role,
                timeout_seconds=self._timeout_seconds,
                prepare=self._prepare,
            )
            connection.add_termination_listener(self._terminated)
            self._connection = connection
        return self._connection

    def _terminated(self, connection: object) -> None:
        if connection is self._connection:
            self.cut.set()
