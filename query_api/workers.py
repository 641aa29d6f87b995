"""Reads which workers there are, from where each of them says so."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from infrastructure.postgres import Pool
from query_api.history import patiently

SILENT_SECONDS: Final = 20
"""After that a worker is not shown any more: it has missed several of its words."""
WORKERS_MAX: Final = 1_000
JOBS_MAX: Final = 100
"""Of one worker."""

_LIST: Final = """
SELECT w.worker, w.host, w.process, w.version, w.isolation, w.is_draining, w.sandboxes,
       w.sandboxes_busy, w.inline_slots, w.inline_busy, w.started_at, w.seen_at,
       ARRAY(SELECT l.job_id FROM work.leases l JOIN work.jobs j USING (job_id)
              WHERE l.worker = w.worker AND j.tenant = $1 AND j.state = 'running'
              ORDER BY l.job_id LIMIT $2) AS jobs
  FROM work.workers w
 WHERE w.seen_at > clock_timestamp() - $3 * interval '1 s'
 ORDER BY w.worker LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker, as it said last."""

    worker: str
    host: str
    process: int
    version: str
    isolation: str
    is_draining: bool
    sandboxes: int
    sandboxes_busy: int
    inline_slots: int
    inline_busy: int
    started_at: datetime
    seen_at: datetime
    jobs: list[UUID]
    """Of the tenant that asks; those that began a moment ago are missing."""


class Workers:
    """The workers of the platform; raises Unavailable where the database cannot answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list(self, tenant: str) -> list[WorkerRow]:
        """All that are there, oldest first, with the jobs of this tenant that they run."""
        values = (tenant, JOBS_MAX, SILENT_SECONDS, WORKERS_MAX)
        rows = await patiently(lambda: self._pool.fetch(_LIST, *values))
        return [WorkerRow(*row) for row in rows]
