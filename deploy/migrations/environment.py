"""Runs one line of migrations over asyncpg, one runner at a time, with limits on its waits."""

import asyncio
from typing import Any, Final

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

LOCK_SECONDS_MAX: Final = 10
STATEMENT_SECONDS_MAX: Final = 600
MIGRATION_LOCK: Final = 0x4D54_0001
"""Advisory lock that only one runner holds."""


def run() -> None:
    """Called by each line's env.py."""
    config = context.config
    asyncio.run(_run(config.attributes["url"], config.attributes["line"]))


async def _run(url: str, line: str) -> None:
    address = url.partition("://")[2]
    engine = create_async_engine(f"postgresql+asyncpg://{address}", poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate, line)
    finally:
        await engine.dispose()


def _migrate(connection: Connection, line: str) -> None:
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_SECONDS_MAX}s'"))
    connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
    connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS_MAX}s'"))
    connection.commit()
    context.configure(connection=connection, version_table=f"migrations_{line}")
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


def execute_script(operations: Any, sql: str) -> None:
    """Run a script of several statements inside the migration's transaction."""
    adapted = operations.get_bind().connection.dbapi_connection
    adapted.run_async(lambda driver: driver.execute(sql))
