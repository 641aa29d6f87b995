"""Asks whether the read models hold what their checkpoint says; anyone may have deleted them.

It looks at both ends of the log only, so it is cheap: tables that were dropped or emptied are found
here, single rows that were deleted are found when an event changes them.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from events.contracts.catalogue import CLASS_OF
from events.contracts.envelope import RecordedRow
from events.store.log import Log
from infrastructure.postgres import Connection
from projectors import generations
from projectors.checkpoints import Damaged, Standing
from projectors.group import Group
from projectors.projections.job import JOB_FACTS
from projectors.read_models.job_summary import job_summary
from projectors.read_models.job_timeline import job_timeline
from projectors.statements import qualified

EVENTS_LOOKED_AT_MAX: Final = 200

_FOUND: Final = """
SELECT count(*) FROM unnest($1::uuid[], $2::bigint[]) AS wanted (id, version)
  JOIN {table} t ON t.job_id = wanted.id AND t.version {relation} wanted.version
"""
_FILLED: Final = "SELECT EXISTS (SELECT FROM {table})"


async def check(connection: Connection, log: Log, group: Group, standing: Standing) -> None:
    """Raise Damaged unless the ends of the log are in the tables, as far as they claim to be."""
    if not await generations.tables_present(connection, group, standing.generation):
        raise Damaged("tables or views are missing")
    if standing.position > await log.head():
        raise Damaged("the checkpoint is ahead of the log")
    first = await log.read_after(0, min(EVENTS_LOOKED_AT_MAX, standing.position))
    begin = max(0, standing.position - EVENTS_LOOKED_AT_MAX)
    last = await log.read_after(begin, standing.position - begin)
    await _none_empty(connection, group, standing.generation, [*first, *last])
    wanted = [row for row in last if _is_shown(row) and not group.parking.holds(row)]
    latest = {row.originator_id: row.originator_version for row in wanted}
    every = [(row.originator_id, row.originator_version) for row in wanted]
    generation = standing.generation
    await _all_there(connection, qualified(job_timeline, generation), "=", every)
    # Not equal: somebody else may have gone on since the checkpoint was read.
    await _all_there(connection, qualified(job_summary, generation), ">=", list(latest.items()))


async def _none_empty(
    connection: Connection, group: Group, generation: int, rows: Sequence[RecordedRow]
) -> None:
    """No projection ever deletes its last row."""
    told = {CLASS_OF.get(row.topic) for row in rows if not group.parking.holds(row)}
    for projection in group.projections:
        if not told.isdisjoint(projection.handles):
            table = qualified(projection.rows.table, generation)
            if not await connection.fetchval(_FILLED.format(table=table)):
                raise Damaged(f"{projection.name} is empty")


def _is_shown(row: RecordedRow) -> bool:
    return CLASS_OF.get(row.topic) in JOB_FACTS


async def _all_there(
    connection: Connection, table: str, relation: str, wanted: Sequence[tuple[UUID, int]]
) -> None:
    ids = [key for key, _ in wanted]
    versions = [version for _, version in wanted]
    found = await connection.fetchval(_FOUND.format(table=table, relation=relation), ids, versions)
    if found != len(wanted):
        raise Damaged(f"{len(wanted) - found} of the latest {len(wanted)} rows are missing")
