"""Runs selects on the read models; every answer says which position it reflects.

The applied position is read by the same statement as the rows, hence from the same snapshot: it
never claims more than the rows show. A connection that broke while idle is replaced and the select
is run again, once; a database that is away, or too busy, is `Unavailable`.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final, cast

import asyncpg
import orjson
import structlog
from sqlalchemy import Row, Select, Subquery, Text, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from infrastructure import metrics
from infrastructure.postgres import (
    CONNECT_SECONDS_MAX,
    CONNECTION_AGE_SECONDS_MAX,
    UNAVAILABLE,
    Role,
    session_settings,
)
from infrastructure.settings import PostgresSettings
from projectors.read_models.checkpoints import checkpoints
from query_api.errors import ProjectionBehind, Unavailable

POOL_NAME: Final = "reads"
POOL_WAIT_SECONDS_MAX: Final = 3.0
TRIES_MAX: Final = 2
DELETED: Final = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
"""Anyone may delete the read models; the projector makes them again."""
SWITCHED: Final = (asyncpg.InvalidCachedStatementError, asyncpg.DeadlockDetectedError)
"""What a select may meet in the moment when a rebuilt generation is switched in."""
AWAY: Final[tuple[type[BaseException], ...]] = (PoolTimeout, *UNAVAILABLE)
APPLIED: Final = "applied"

AnySelect = Select[*tuple[Any, ...]]
AnyRow = Row[*tuple[Any, ...]]

log = structlog.get_logger(__name__)


def create_read_engine(settings: PostgresSettings) -> AsyncEngine:
    """An engine for single selects: no transaction round trips, and no ping before each use.

    The reader itself notices a dead connection, so that the ping (a third of a read's time) is not
    needed.
    """
    timeout = settings.database_timeout_seconds
    return create_async_engine(
        f"postgresql+asyncpg://{settings.read_dsn.partition('://')[2]}",
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        json_deserializer=orjson.loads,
        pool_timeout=POOL_WAIT_SECONDS_MAX,
        pool_recycle=CONNECTION_AGE_SECONDS_MAX,
        connect_args={
            "timeout": CONNECT_SECONDS_MAX,
            "command_timeout": timeout + 1.0,
            "server_settings": session_settings(Role.QUERY_API, timeout),
        },
    )


def applied_position(*projections: str) -> Subquery:
    """One row: the lowest position of these projections; null before their first checkpoint."""
    # Not IN, whose list is written into the statement anew for every execution.
    names = bindparam("projections", list(projections), type_=ARRAY(Text))
    where = checkpoints.c.name == func.any(names)
    return select(func.min(checkpoints.c.position).label(APPLIED)).where(where).subquery(APPLIED)


def with_applied(rows: AnySelect, *projections: str) -> AnySelect:
    """The rows beside the applied position; where there are none, one row of nulls beside it."""
    applied, found = applied_position(*projections), rows.subquery("found")
    return select(applied.c.applied, *found.c).select_from(applied.outerjoin(found, true()))


class Reader:
    """Reads the read models over one engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting = 0
        self._acquired_after = metrics.POOL_ACQUIRE_SECONDS.labels(POOL_NAME)
        self._observe()

    async def rows(
        self, statement: AnySelect, parameters: dict[str, Any] | None = None
    ) -> Sequence[AnyRow]:
        """All rows of the statement; raises Unavailable."""
        for tries in range(1, TRIES_MAX + 1):
            try:
                return await self._rows(statement, parameters)
            except DBAPIError as error:
                if tries == TRIES_MAX or not _is_passing(error):
                    raise _translated(error) from error
                log.info("read_repeated", kind=type(_cause(error)).__name__)
            except AWAY as error:
                raise Unavailable from error
        raise AssertionError("unreachable")

    async def row(self, statement: AnySelect, parameters: dict[str, Any] | None = None) -> AnyRow:
        """The one row of the statement."""
        (row,) = await self.rows(statement, parameters)
        return row

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    async def _rows(
        self, statement: AnySelect, parameters: dict[str, Any] | None
    ) -> Sequence[AnyRow]:
        began = time.perf_counter()
        self._waiting += 1
        try:
            connection = await self._engine.connect()
        finally:
            self._waiting -= 1
        self._acquired_after.observe(time.perf_counter() - began)
        try:
            result = await connection.execute(statement, parameters)
            return result.all()
        finally:
            # A caller that goes away must not keep the connection from going back.
            await asyncio.shield(connection.close())

    def _observe(self) -> None:
        """Let the metrics look at the pool whenever they are read."""
        engine = self._engine

        def pool() -> QueuePool:
            # Asked for each time: the engine replaces its pool after a lost connection.
            return cast(QueuePool, engine.pool)

        metrics.POOL_SIZE.labels(POOL_NAME).set_function(
            lambda: pool().checkedin() + pool().checkedout()
        )
        metrics.POOL_IN_USE.labels(POOL_NAME).set_function(lambda: pool().checkedout())
        metrics.POOL_WAITING.labels(POOL_NAME).set_function(lambda: self._waiting)


def _is_passing(error: DBAPIError) -> bool:
    """Whether the same select will fare better: a dead connection, or tables just switched."""
    return error.connection_invalidated or isinstance(_cause(error), SWITCHED)


def _translated(error: DBAPIError) -> Exception:
    cause = _cause(error)
    if isinstance(cause, DELETED):
        return ProjectionBehind("The read models are being rebuilt.")
    if error.connection_invalidated or isinstance(cause, (*UNAVAILABLE, *SWITCHED)):
        return Unavailable()
    return error


def _cause(error: DBAPIError) -> BaseException | None:
    """What asyncpg raised."""
    return error.orig.__cause__ if error.orig is not None else None
