"""Connections to PostgreSQL, each under the role of the service that opened it.

Every connection says `SET ROLE` at its start, so that what a service may touch is decided by the
database and not by the service. Waits have limits: for a lock, for a statement, and for an idle
transaction.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from infrastructure.metrics import POOL_IN_USE, POOL_SIZE, POOL_WAITING
from infrastructure.settings import PostgresSettings

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:  # generic for the type checker only
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

CONNECT_SECONDS_MAX = 5.0
LOCK_SECONDS_MAX = 5
IDLE_IN_TRANSACTION_SECONDS_MAX = 15
CONNECTION_AGE_SECONDS_MAX = 1800


class Role(StrEnum):
    """The roles of the database, one for each kind of process."""

    COMMAND_API = "mt_command_api"
    QUERY_API = "mt_query_api"
    RELAY = "mt_relay"
    PROCESSORS = "mt_processors"
    PROJECTORS = "mt_projectors"
    AUDITOR = "mt_auditor"


UNAVAILABLE: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
)
"""What asyncpg raises when the database is away, coming up, or too busy to answer in time."""


def session_settings(role: Role | None, timeout_seconds: float) -> dict[str, str]:
    """The settings of a connection: its role and the limits of its waits."""
    settings = {
        "application_name": f"magictoolbox:{role.value if role else 'owner'}",
        "statement_timeout": f"{int(timeout_seconds * 1000)}",
        "lock_timeout": f"{LOCK_SECONDS_MAX * 1000}",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS_MAX * 1000}",
        "timezone": "UTC",
        "jit": "off",
    }
    if role is not None:
        settings["role"] = role.value
    return settings


async def connect(
    dsn: str,
    role: Role | None,
    *,
    timeout_seconds: float = 10.0,
    prepare: str = "",
    **options: Any,
) -> Connection:
    """Open one dedicated connection under a role, and run `prepare` on it.

    Nothing stays open when that fails, or when whoever asked is cancelled meanwhile.
    """
    connection: Connection = await asyncpg.connect(
        dsn,
        timeout=CONNECT_SECONDS_MAX,
        command_timeout=timeout_seconds + 1.0,
        server_settings=session_settings(role, timeout_seconds),
        **options,
    )
    try:
        if prepare:
            await connection.execute(prepare)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def create_pool(
    settings: PostgresSettings,
    role: Role,
    *,
    dsn: str | None = None,
    size: int | None = None,
    name: str = "log",
    session: Mapping[str, str] | None = None,
) -> Pool:
    """Open a pool of plain asyncpg connections, for the hot paths.

    It opens no connection before the first is asked for, so that a process can start while the
    database is away. `name` is its label in the metrics of the pool, `session` are settings of its
    connections beside those that all have.
    """
    pool = await asyncpg.create_pool(
        dsn or settings.dsn,
        min_size=0,
        max_size=size or settings.database_pool_size,
        timeout=CONNECT_SECONDS_MAX,
        command_timeout=settings.database_timeout_seconds + 1.0,
        server_settings=session_settings(role, settings.database_timeout_seconds)
        | dict(session or {}),
        reset=_nothing_to_reset,
    )
    _observe(pool, name)
    return pool


async def _nothing_to_reset(connection: Connection) -> None:
    """Callers leave no state in a pooled session, so a release needs no round trip."""


def _observe(pool: Pool, name: str) -> None:
    """Let the metrics look at the pool whenever they are read."""
    POOL_SIZE.labels(name).set_function(pool.get_size)
    POOL_IN_USE.labels(name).set_function(lambda: pool.get_size() - pool.get_idle_size())
    # asyncpg tells nobody who waits; its queue of free connections knows.
    free: Any = getattr(pool, "_queue")  # noqa: B009
    POOL_WAITING.labels(name).set_function(lambda: len(free._getters))


def create_engine(settings: PostgresSettings, role: Role, *, dsn: str | None = None) -> AsyncEngine:
    """Make a SQLAlchemy engine, for everything that is not on a hot path."""
    address = (dsn or settings.dsn).partition("://")[2]
    return create_async_engine(
        f"postgresql+asyncpg://{address}",
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_timeout_seconds,
        pool_recycle=CONNECTION_AGE_SECONDS_MAX,
        pool_pre_ping=True,
        connect_args={
            "timeout": CONNECT_SECONDS_MAX,
            "command_timeout": settings.database_timeout_seconds + 1.0,
            "server_settings": session_settings(role, settings.database_timeout_seconds),
        },
    )
