"""The projectors' side of one test database: a log to write, projections to run and compare."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from eventsourcing.persistence import StoredEvent

from events.contracts.envelope import RecordedRow
from events.store.append import Append, PostgresAppender
from events.store.log import PostgresLog
from infrastructure.leadership import Leadership
from infrastructure.postgres import Connection, Pool, Role, connect
from projectors import checkpoints
from projectors.batches import Batches
from projectors.checkpoints import Standing
from projectors.group import Group
from projectors.read_models.schema import physical_name
from projectors.rebuild import Rebuild

APPEND_EVENTS_MAX = 500


class Stage:
    """One database, with everything that tests of projections need on it."""

    def __init__(self, url: str, pool: Pool, appender: PostgresAppender) -> None:
        self.url = url
        self.pool = pool
        self.appender = appender
        self.log = PostgresLog(pool)
        self._closing: list[Callable[[], Awaitable[object]]] = []

    async def append(self, rows: Sequence[RecordedRow]) -> None:
        """Write a history to the log; tenants are kept apart, as commands do."""
        start = 0
        for end in range(1, len(rows) + 1):
            is_last = end == len(rows) or rows[end].tenant != rows[start].tenant
            if is_last or end - start == APPEND_EVENTS_MAX:
                events = [
                    StoredEvent(row.originator_id, row.originator_version, row.topic, row.state)
                    for row in rows[start:end]
                ]
                await self.appender.append(Append(rows[start].tenant, events))
                start = end

    async def connect(self) -> Connection:
        """A connection as the projectors have it; closed with the stage."""
        connection = await connect(self.url, Role.PROJECTORS)
        self._closing.append(connection.close)
        return connection

    async def project(
        self, rows: Iterable[Sequence[RecordedRow]], group: Group | None = None
    ) -> Standing:
        """Apply batches to the live generation."""
        group = group or Group()
        connection = await self.connect()
        standing = await checkpoints.read_standing(connection, group)
        await group.parking.load(connection, standing.generation)
        batches = Batches(group)
        for batch in rows:
            standing = (await batches.apply(connection, standing, batch)).standing
        return standing

    def rebuild(self, make_group: Callable[[], Group] = Group) -> Rebuild:
        """A rebuild of this database's read models."""
        lead = Leadership(self.url, Role.PROJECTORS, "rebuild:platform")
        return Rebuild(make_group, self.log, self.connect, self.connect, lead)

    async def contents(self, generation: int | None = None) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all read models, of a generation or of the live one."""
        connection = await self.connect()
        found = {}
        for table in Group().tables:
            name = table.name if generation is None else physical_name(table.name, generation)
            rows = await connection.fetch(f"SELECT * FROM read_models.{name}")
            found[table.name] = sorted((tuple(row) for row in rows), key=repr)
        return found

    async def value(self, query: str, *arguments: Any) -> Any:
        """One value, asked under the role of the projectors."""
        connection = await self.connect()
        return await connection.fetchval(query, *arguments)

    async def execute(self, *statements: str) -> None:
        """Run statements as the owner of the database, as an operator would."""
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def close(self) -> None:
        """Close what was opened."""
        for close in reversed(self._closing):
            await close()


@asynccontextmanager
async def staged(url: str) -> AsyncIterator[Stage]:
    """The stage of a migrated database."""
    appender = PostgresAppender(url, Role.COMMAND_API)
    role = {"role": Role.PROJECTORS.value}
    async with asyncpg.create_pool(url, min_size=1, max_size=4, server_settings=role) as pool:
        made = Stage(url, pool, appender)
        yield made
        await made.close()
        await appender.close()
