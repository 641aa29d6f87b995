"""Puts the parts of a projector together; the process and the command line both build on it."""

from collections.abc import Awaitable, Callable
from typing import Final

from events.store.log import PostgresLog
from infrastructure.leadership import Leadership
from infrastructure.postgres import Connection, Pool, Role, connect, create_pool
from infrastructure.settings import PostgresSettings
from projectors.fillers import Fillers
from projectors.group import PLATFORM, Group
from projectors.rebuild import Rebuild

REBUILD_STATEMENT_SECONDS_MAX: Final = 3_600.0
REBUILD_SETTINGS: Final = """
SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; SET default_statistics_target = 10
"""
"""Few statistics do until the autovacuum looks: the usual ones took as long as all indexes."""
WRITE_SETTINGS: Final = "SET synchronous_commit = off"
"""Rows and checkpoint are lost together or not at all, and what is lost is projected again."""
TAIL_POOL_SIZE: Final = 3
ON_INDEX: Final = {"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_sort": "off"}
"""Without these the planner may leave the index for a batch, which costs milliseconds (ADR 3)."""


def connect_to_write(settings: PostgresSettings) -> Callable[[], Awaitable[Connection]]:
    """How the runner connects to the read models."""

    async def opened() -> Connection:
        seconds = settings.database_timeout_seconds
        return await connect(
            settings.read_dsn, Role.PROJECTORS, timeout_seconds=seconds, prepare=WRITE_SETTINGS
        )

    return opened


def make_rebuild(
    settings: PostgresSettings, log: Pool, *, skip_unknown_topics: bool = False
) -> Rebuild:
    """A rebuild on connections, and with processes, of its own."""
    seconds = REBUILD_STATEMENT_SECONDS_MAX

    async def to_read_models() -> Connection:
        return await connect(
            settings.read_dsn, Role.PROJECTORS, timeout_seconds=seconds, prepare=REBUILD_SETTINGS
        )

    async def to_log() -> Connection:
        return await connect(settings.dsn, Role.PROJECTORS, timeout_seconds=seconds)

    leadership = Leadership(settings.read_dsn, Role.PROJECTORS, f"rebuild:{PLATFORM}")
    skip = skip_unknown_topics
    return Rebuild(
        lambda: Group(skip_unknown_topics=skip),
        PostgresLog(log),
        to_read_models,
        to_log,
        leadership,
        Fillers(settings.dsn, settings.read_dsn, skip_unknown_topics=skip),
    )


async def create_tail_pool(settings: PostgresSettings) -> Pool:
    """A small pool that reads the log, with its one frequent query kept on the index."""
    return await create_pool(
        settings, Role.PROJECTORS, size=TAIL_POOL_SIZE, name="tail", session=ON_INDEX
    )
