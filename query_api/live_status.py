"""What Redis knows of running jobs beyond their rows: how far they are.

It is an ornament: without Redis, or without a word of the job there, there is no progress to show
and nothing else changes. After a failure Redis is left alone for a moment, so that a Redis that
hangs does not slow every answer down.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from projectors.read_models import live
from query_api.queries.jobs import JobRow
from query_api.views import ProgressView

READ_SECONDS_MAX: Final = 0.25
PAUSE_SECONDS: Final = 5.0
FIELDS: Final = [live.ATTEMPT, live.PERCENT, live.MESSAGE]
AWAY: Final = (RedisError, OSError, TimeoutError)

log = structlog.get_logger(__name__)

Fields = Sequence[bytes | None]


class LiveStatus:
    """Reads the live status of jobs."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._away_until = 0.0

    async def progress(self, rows: Sequence[JobRow]) -> dict[UUID, ProgressView]:
        """How far those of these jobs are that run; the others are left out."""
        running = [row for row in rows if row.is_running]
        if not running or time.monotonic() < self._away_until:
            return {}
        try:
            async with asyncio.timeout(READ_SECONDS_MAX):
                found = await self._read([row.job_id for row in running])
        except AWAY as error:
            self._lost(error)
            return {}
        views = {row.job_id: _view(row, fields) for row, fields in zip(running, found, strict=True)}
        return {job_id: view for job_id, view in views.items() if view is not None}

    async def position(self) -> int | None:
        """The position that the live status reflects; None where Redis does not say."""
        try:
            async with asyncio.timeout(READ_SECONDS_MAX):
                position = await self._redis.get(live.CHECKPOINT)
        except AWAY as error:
            self._lost(error)
            return None
        return None if position is None else int(position)

    async def _read(self, job_ids: Sequence[UUID]) -> list[Fields]:
        pipeline = self._redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.hmget(live.job_key(job_id), FIELDS)
        found: list[Fields] = await pipeline.execute()
        return found

    def _lost(self, error: BaseException) -> None:
        self._away_until = time.monotonic() + PAUSE_SECONDS
        log.warning("live_status_away", kind=type(error).__name__)


def _view(row: JobRow, fields: Fields) -> ProgressView | None:
    attempt, percent, message = fields
    if percent is None or (attempt is not None and int(attempt) != row.attempt):
        # Nothing was told yet, or it was told of another attempt than the row's.
        return None
    return ProgressView(
        percent=float(percent),
        message=None if message is None else message.decode("utf-8", "replace"),
    )
