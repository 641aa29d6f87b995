"""The tables of a group, one set for each generation, and the views that point at the live set."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from infrastructure.leadership import advisory_key
from infrastructure.postgres import Connection
from projectors.checkpoints import Standing
from projectors.group import Group
from projectors.read_models import checkpoints as bookkeeping
from projectors.read_models.schema import SCHEMA, physical_table
from projectors.statements import Write, qualified

BUILDING: Final = "building"
LIVE: Final = "live"
RETIRED: Final = "retired"

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

_BEGIN: Final = """
INSERT INTO read_models.generations (projection_group, generation, state, fingerprint, position)
SELECT $1, coalesce(max(generation), 0) + 1, 'building', $2, 0
  FROM read_models.generations WHERE projection_group = $1
RETURNING generation
"""
_MOVE: Final = """
UPDATE read_models.generations SET position = $4
 WHERE projection_group = $1 AND generation = $2 AND position = $3 AND state <> 'live'
"""
_FIND: Final = """
SELECT generation, fingerprint, position FROM read_models.generations
 WHERE projection_group = $1 AND state = $2 ORDER BY generation DESC
"""
_RETIRE: Final = """
UPDATE read_models.generations SET state = 'retired', position = $2
 WHERE projection_group = $1 AND state = 'live'
"""
_ENTHRONE: Final = """
UPDATE read_models.generations SET state = 'live', position = $3, switched_at = now()
 WHERE projection_group = $1 AND generation = $2
"""
_FORGET: Final = """
WITH parked AS (
    DELETE FROM read_models.parked_events WHERE projection_group = $1 AND generation = $2
)
DELETE FROM read_models.generations WHERE projection_group = $1 AND generation = $2
"""
_PRESENT: Final = """
SELECT count(*) FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL
"""


_LET_RELAY_READ: Final = "GRANT SELECT ON read_models.checkpoints TO mt_relay"
"""A stream that was lost is filled again from the lowest checkpoint."""


async def ensure_bookkeeping(connection: Connection) -> None:
    """Make the tables of checkpoints and generations if somebody deleted them.

    One projector at a time: of two that grant or create the same at once, PostgreSQL fails one.
    """
    key = advisory_key("bookkeeping of the read models")
    await connection.execute("SELECT pg_advisory_lock($1)", key)
    try:
        await _make_bookkeeping(connection)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", key)


async def _make_bookkeeping(connection: Connection) -> None:
    for table in (bookkeeping.checkpoints, bookkeeping.generations, bookkeeping.parked_events):
        await connection.execute(
            str(CreateTable(table, if_not_exists=True).compile(dialect=_DIALECT))
        )
        for statement in _indexes(table, if_not_exists=True):
            await connection.execute(statement)
    await connection.execute(_LET_RELAY_READ)


async def tables_present(connection: Connection, group: Group, generation: int) -> bool:
    """Whether the tables of a generation and the views on them are all there."""
    names = [qualified(table, generation) for table in group.tables]
    names += [f"{SCHEMA}.{table.name}" for table in group.tables]
    return bool(await connection.fetchval(_PRESENT, names) == len(names))


async def begin(connection: Connection, group: Group) -> int:
    """Make the tables of a new generation, with keys and without indexes.

    A rebuild copies rows in the order of their keys, so these cost little and are built while it
    folds; the indexes are faster made afterwards.
    """
    for row in await connection.fetch(_FIND, group.name, BUILDING):
        await drop(connection, group, row["generation"])
    generation: int = await connection.fetchval(_BEGIN, group.name, group.fingerprint)
    for table in group.tables:
        await connection.execute(f"DROP TABLE IF EXISTS {qualified(table, generation)} CASCADE")
        made = CreateTable(physical_table(table, generation))
        await connection.execute(str(made.compile(dialect=_DIALECT)))
    return generation


async def add_indexes(connection: Connection, group: Group, generation: int) -> None:
    """Add the indexes to a filled generation, and let the planner know what is in it."""
    for table in group.tables:
        for statement in _indexes(physical_table(table, generation)):
            await connection.execute(statement)
        await connection.execute(f"ANALYZE {qualified(table, generation)}")


def moving(group: Group, standing: Standing, to: int) -> Write:
    """Moves the position of a generation that is not live, in the statement of the rows."""
    arguments = (group.name, standing.generation, standing.position, to)
    return Write(lambda first: _MOVE, arguments, 1)


async def filled(connection: Connection, group: Group, generation: int, to: int) -> Standing:
    """Note up to where a new generation was filled."""
    await connection.execute(_MOVE, group.name, generation, 0, to)
    return Standing(generation, to)


async def retired(connection: Connection, group: Group) -> tuple[Standing, str] | None:
    """The generation that was live before, and its fingerprint."""
    row = await connection.fetchrow(_FIND, group.name, RETIRED)
    if row is None:
        return None
    return Standing(row["generation"], row["position"]), row["fingerprint"]


async def enthrone(
    connection: Connection, group: Group, standing: Standing, retired_at: int
) -> None:
    """Make a generation the live one, in the caller's transaction; older ones are dropped."""
    for row in await connection.fetch(_FIND, group.name, RETIRED):
        if row["generation"] != standing.generation:
            await drop(connection, group, row["generation"])
    await connection.execute(_RETIRE, group.name, retired_at)
    await connection.execute(_ENTHRONE, group.name, standing.generation, standing.position)
    for table in group.tables:
        source = qualified(table, standing.generation)
        view = f"{SCHEMA}.{table.name}"
        await connection.execute(f"DROP VIEW IF EXISTS {view}")
        await connection.execute(f"CREATE VIEW {view} AS SELECT * FROM {source}")


async def drop(connection: Connection, group: Group, generation: int) -> None:
    """Drop the tables of a generation and forget it."""
    for table in group.tables:
        await connection.execute(f"DROP TABLE IF EXISTS {qualified(table, generation)}")
    await connection.execute(_FORGET, group.name, generation)


def _indexes(table: Table, *, if_not_exists: bool = False) -> Iterable[str]:
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        made = CreateIndex(index, if_not_exists=if_not_exists)
        yield str(made.compile(dialect=_DIALECT))
