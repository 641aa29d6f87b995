"""Keeps what attempts wrote, sealed with the job's key, for as long as somebody may ask.

A log helps people and decides nothing, so it stands in a table beside the events and not in them.
An event stays small, and what is lost here (a worker was killed, PostgreSQL was away at the moment
of the report) is lost without harm. Erasing the job's key makes it unreadable like all else.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol
from uuid import UUID

import asyncpg
import structlog

from events.contracts.sealed_fields import LOG_FIELD
from events.contracts.values import SealedText
from events.domain.job import Job
from events.store.sealing import Seal
from infrastructure.postgres import UNAVAILABLE, Pool
from processors import work_statements as sql
from processors.sandbox.observed import Written

KEEP_SECONDS_MAX: Final = 2.0
"""The outcome is waiting meanwhile."""

_CANNOT_KEEP: tuple[type[BaseException], ...] = (*UNAVAILABLE, asyncpg.PostgresError, TimeoutError)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """What one attempt wrote."""

    job_id: UUID
    lease: int
    text: SealedText
    is_cut: bool


class LogStore(Protocol):
    """Where logs are kept."""

    async def keep(self, kept: AttemptLog) -> None:
        """Keep one; a second one of the same attempt is let go. Raises what asyncpg raises."""
        ...


class PostgresLogStore:
    """Logs in `work.attempt_logs`."""

    def __init__(self, pool: Pool, days: int) -> None:
        self._pool = pool
        self._kept_for = timedelta(days=days)

    async def keep(self, kept: AttemptLog) -> None:
        """See `LogStore.keep`."""
        values = (kept.job_id, kept.lease, kept.text, kept.is_cut, self._kept_for)
        await self._pool.execute(sql.KEEP_LOG, *values)


class AttemptLogs:
    """Keeps logs as well as it can."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    async def keep(self, job: Job, lease: int, seal: Seal, written: Written) -> None:
        """Keep what an attempt wrote, if it wrote anything; never fails the attempt."""
        if not written:
            return
        text = seal.seal(LOG_FIELD, written.text)
        try:
            async with asyncio.timeout(KEEP_SECONDS_MAX):
                await self._store.keep(AttemptLog(job.id, lease, text, written.is_cut))
        except _CANNOT_KEEP as error:
            log.warning("attempt_log_lost", job_id=str(job.id), error=type(error).__name__)
