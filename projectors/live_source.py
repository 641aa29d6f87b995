"""Where live status reads what it has missed: the read models, and the log for what changed."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from events.contracts.values import FINAL_STATUSES
from infrastructure.postgres import Pool
from projectors.batches import JobState
from projectors.read_models import live

PAGE_JOBS_MAX: Final = 2_000

_POSITION: Final = """
SELECT position FROM read_models.checkpoints WHERE name = 'job_summary' AND shard = 0
"""
_CHANGED: Final = """
SELECT DISTINCT originator_id FROM event_store.stored_events
 WHERE notification_id > $1 AND notification_id <= $2
"""
_STATES: Final = """
SELECT job_id, status, attempt, version, position FROM read_models.job_summary
"""
_OF: Final = f"{_STATES} WHERE job_id = ANY($1::uuid[])"
_AFTER: Final = f"""
{_STATES}
 WHERE job_id > $1 AND (status <> ALL($2::text[]) OR finished_at > now() - $3 * interval '1 s')
 ORDER BY job_id LIMIT $4
"""


class LiveSource:
    """Reads over the pools of the read models and of the log."""

    def __init__(self, reads: Pool, log: Pool) -> None:
        self._reads = reads
        self._log = log

    async def position(self) -> int:
        """Up to where the rows are complete."""
        position: int | None = await self._reads.fetchval(_POSITION)
        return position or 0

    async def changed(self, after: int, up_to: int) -> Sequence[JobState]:
        """The present state of the jobs that changed between two positions."""
        ids = [row["originator_id"] for row in await self._log.fetch(_CHANGED, after, up_to)]
        return [_state(row) for row in await self._reads.fetch(_OF, ids)]

    async def page(self, after: UUID) -> Sequence[JobState]:
        """The next jobs by id that are worth keeping live: unfinished, or finished just now."""
        final = [status.value for status in FINAL_STATUSES]
        rows = await self._reads.fetch(_AFTER, after, final, live.FINAL_SECONDS, PAGE_JOBS_MAX)
        return [_state(row) for row in rows]


def _state(row: asyncpg.Record) -> JobState:
    return JobState(*row)
