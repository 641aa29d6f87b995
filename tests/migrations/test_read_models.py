"""The migrated read models are exactly those that the tables in the code describe."""

from typing import Any

import asyncpg
import pytest
from sqlalchemy import Table, create_engine

from projectors.read_models import (
    bulk_operations,
    checkpoints,
    counters,
    job_summary,
    job_timeline,
    queues,
    schedule_summary,
    tool_catalogue,
    workflow_summary,
)
from projectors.read_models.schema import metadata, physical_name, physical_table

BOOKKEEPING = (checkpoints.checkpoints, checkpoints.generations, checkpoints.parked_events)
READ_MODELS = (
    job_summary.job_summary,
    job_timeline.job_timeline,
    tool_catalogue.tool_catalogue,
    bulk_operations.bulk_operations,
    counters.job_counters,
    counters.outcome_counters,
    schedule_summary.schedule_summary,
    queues.queue_counters,
    queues.queue_states,
    queues.limits,
    workflow_summary.workflow_summary,
)

COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull
  FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum
"""
INDEXES = """
SELECT indexname, regexp_replace(indexdef, ' ON \\S+ ', ' ') FROM pg_indexes
 WHERE schemaname = 'read_models' AND tablename = $1 ORDER BY indexname
"""


async def _shape(connection: asyncpg.Connection, name: str) -> tuple[Any, Any]:
    columns = await connection.fetch(COLUMNS, f"read_models.{name}")
    indexes = await connection.fetch(INDEXES, name)
    return [tuple(row) for row in columns], [tuple(row) for row in indexes]


def _create_from_code(url: str) -> None:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    tables: list[Table] = [*BOOKKEEPING, *(physical_table(table, 1) for table in READ_MODELS)]
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA read_models")
        for table in tables:
            table.create(connection)
    engine.dispose()


def test_every_table_of_the_code_is_known_to_this_test() -> None:
    known = {table.name for table in (*BOOKKEEPING, *READ_MODELS)}

    assert {table.name for table in metadata.tables.values()} == known


async def test_the_migrated_tables_are_those_of_the_code(
    database_url: str, empty_database_url: str
) -> None:
    _create_from_code(empty_database_url)
    migrated = await asyncpg.connect(database_url)
    expected = await asyncpg.connect(empty_database_url)

    try:
        for table in BOOKKEEPING:
            assert await _shape(migrated, table.name) == await _shape(expected, table.name)
        for table in READ_MODELS:
            name = physical_name(table.name, 1)
            assert await _shape(migrated, name) == await _shape(expected, name)
    finally:
        await migrated.close()
        await expected.close()


@pytest.mark.parametrize("table", READ_MODELS, ids=lambda table: str(table.name))
async def test_queries_may_select_and_nothing_else(database_url: str, table: Table) -> None:
    connection = await asyncpg.connect(database_url, server_settings={"role": "mt_query_api"})
    try:
        await connection.fetch(f"SELECT * FROM read_models.{table.name}")
        for verb in ("DELETE FROM", "TRUNCATE"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"{verb} read_models.{table.name}_1")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"DELETE FROM read_models.{table.name}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"DROP TABLE read_models.{table.name}_1")
    finally:
        await connection.close()
