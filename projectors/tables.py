"""The read models of a group as its runner sees them: where they stand, and one way to go on."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from events.contracts.envelope import RecordedRow
from events.store.log import Log
from infrastructure.postgres import Connection
from projectors import generations, soundness
from projectors.batches import Applied, Batches
from projectors.checkpoints import Standing, read_standing
from projectors.group import Group

Connect = Callable[[], Awaitable[Connection]]
"""Opens the connection that rows are written on."""


class Tables(Protocol):
    """What the runner needs of the read models."""

    async def take_over(self) -> Standing:
        """Where the live generation stands; what the group has in memory is that, and no more.

        Raises Damaged if it is not whole, and MadeByNewerProjections.
        """
        ...

    async def check(self, standing: Standing) -> None:
        """Raise Damaged if the tables are not whole."""
        ...

    async def apply(self, standing: Standing, rows: Sequence[RecordedRow]) -> Applied:
        """Apply the rows that directly follow the standing, all or none; see `Batches.apply`."""
        ...

    def let_go(self) -> None:
        """Believe nothing and drop what is under way."""
        ...


class PostgresTables:
    """The read models in PostgreSQL, over a connection of their own."""

    def __init__(self, group: Group, batches: Batches, log: Log, connect: Connect) -> None:
        self._group = group
        self._batches = batches
        self._log = log
        self._connect = connect
        self._connection: Connection | None = None

    async def take_over(self) -> Standing:
        """See `Tables.take_over`."""
        connection = await self._connected()
        await generations.ensure_bookkeeping(connection)
        standing = await read_standing(connection, self._group)
        self._group.clear()
        await self._group.parking.load(connection, standing.generation)
        await soundness.check(connection, self._log, self._group, standing)
        return standing

    async def check(self, standing: Standing) -> None:
        """See `Tables.check`."""
        await soundness.check(await self._connected(), self._log, self._group, standing)

    async def apply(self, standing: Standing, rows: Sequence[RecordedRow]) -> Applied:
        """See `Tables.apply`."""
        return await self._batches.apply(await self._connected(), standing, rows)

    def let_go(self) -> None:
        """See `Tables.let_go`."""
        self._group.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            # Not close(): a transaction may be under way, or the server may not answer.
            connection.terminate()

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        return self._connection
