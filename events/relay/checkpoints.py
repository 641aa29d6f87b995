"""Knows how far the readers of the stream have come, and so where a lost stream must begin again.

Checkpoints belong to their readers, in the tables `work.checkpoints` and `read_models.checkpoints`
(name text, position bigint). A table that is not there, or may not be read, counts as a reader at
the start. What lies further back than `REFILL_EVENTS_MAX` readers take from Postgres.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from events.store.statements import READ_HEAD
from infrastructure.postgres import Connection, Role, connect
from infrastructure.settings import PostgresSettings

REFILL_EVENTS_MAX: Final = 200_000
"""How much of the log a new stream is filled with at most: some ten seconds of publishing."""

WORK_SCHEMA: Final = "work"
READ_SCHEMA: Final = "read_models"

_IS_READABLE: Final = """
SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = $1 AND c.relname = 'checkpoints' AND c.relkind IN ('r', 'v', 'p')
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one reader has come."""

    name: str
    position: int


class ReadsCheckpoints(Protocol):
    """What the relay has to know of the readers."""

    async def first_wanted(self) -> int:
        """The position at which a new stream begins: the first that some reader still needs."""
        ...


class Checkpoints:
    """The checkpoints of all readers, asked for when they are needed."""

    def __init__(self, settings: PostgresSettings, role: Role | None = Role.RELAY) -> None:
        self._settings = settings
        self._role = role

    async def first_wanted(self) -> int:
        """The position at which a new stream begins: the first that some reader still needs."""
        head, checkpoints = await self.read()
        return first_wanted(head, checkpoints)

    async def read(self) -> tuple[int, Sequence[Checkpoint]]:
        """The head of the log and all checkpoints; raises what asyncpg raises."""
        connection = await connect(self._settings.dsn, self._role)
        try:
            head = int(await connection.fetchval(READ_HEAD))
            found = [*await _checkpoints(connection, WORK_SCHEMA)]
            if self._settings.read_dsn == self._settings.dsn:
                found += await _checkpoints(connection, READ_SCHEMA)
        finally:
            await connection.close()
        if self._settings.read_dsn != self._settings.dsn:
            found += await self._elsewhere()
        return head, found

    async def _elsewhere(self) -> Sequence[Checkpoint]:
        connection = await connect(self._settings.read_dsn, self._role)
        try:
            return await _checkpoints(connection, READ_SCHEMA)
        finally:
            await connection.close()


def first_wanted(head: int, checkpoints: Sequence[Checkpoint]) -> int:
    """The first position that some reader still needs, not further back than the limit."""
    lowest = min((checkpoint.position for checkpoint in checkpoints), default=0)
    return max(min(lowest, head), head - REFILL_EVENTS_MAX, 0) + 1


async def _checkpoints(connection: Connection, schema: str) -> Sequence[Checkpoint]:
    is_readable = await connection.fetchval(_IS_READABLE, schema)
    if not is_readable:
        if is_readable is not None:
            log.warning("checkpoints_unreadable", schema=schema)
        return [Checkpoint(f"{schema}.?", 0)]
    rows = await connection.fetch(f"SELECT name, position FROM {schema}.checkpoints")
    return [Checkpoint(row["name"], row["position"]) for row in rows]
