"""Compares two generations of the read models that stand at the same position.

Small tables are compared whole, large ones by a sample of jobs. A difference is told, not judged:
the old tables may be the damaged ones.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy import Table

from infrastructure.postgres import Connection
from projectors.group import Group
from projectors.read_models.job_summary import job_summary
from projectors.statements import qualified

ROWS_COMPARED_MAX: Final = 20_000
JOBS_SAMPLED: Final = 1_000

_JOB_KEY: Final = "job_id"

_DIFFERENT: Final = """
SELECT count(*) FROM (
    (SELECT * FROM {one} {where} EXCEPT ALL SELECT * FROM {other} {where})
    UNION ALL
    (SELECT * FROM {other} {where} EXCEPT ALL SELECT * FROM {one} {where})
) AS different
"""
_MANY: Final = "SELECT count(*) > $1 FROM (SELECT FROM {table} LIMIT $1 + 1) AS looked_at"
_SAMPLE: Final = "SELECT job_id FROM {table} ORDER BY hashtext(job_id::text) LIMIT $1"


async def differences(
    connection: Connection, group: Group, one: int, other: int
) -> Mapping[str, int]:
    """How many rows of each read model are in only one of two generations, as far as looked at."""
    sample: list[UUID] | None = None
    summary = qualified(job_summary, one)
    if await connection.fetchval(_MANY.format(table=summary), ROWS_COMPARED_MAX):
        rows = await connection.fetch(_SAMPLE.format(table=summary), JOBS_SAMPLED)
        sample = [row[_JOB_KEY] for row in rows]
    return {
        table.name: await _different(connection, table, one, other, sample)
        for table in group.tables
    }


async def _different(
    connection: Connection, table: Table, one: int, other: int, sample: list[UUID] | None
) -> int:
    is_sampled = sample is not None and _JOB_KEY in table.c
    query = _DIFFERENT.format(
        one=qualified(table, one),
        other=qualified(table, other),
        where=f"WHERE {_JOB_KEY} = ANY($1::uuid[])" if is_sampled else "",
    )
    found: int = await connection.fetchval(query, *([sample] if is_sampled else []))
    return found
