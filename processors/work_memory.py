"""The tables of work in memory: a twin of those in PostgreSQL, held to the same suite of tests.

For simulations, and for tests of the dispatcher that need no database.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from processors.changes import Changes, JobRow, State, Step
from processors.queues import Runnable
from processors.work import CheckpointMoved, Front, Standing


class MemoryWork:
    """Keeps the rows in dictionaries."""

    def __init__(self) -> None:
        self.position = 0
        self.jobs: dict[UUID, JobRow] = {}
        self.results: dict[UUID, datetime] = {}
        self.uploads: dict[UUID, datetime] = {}

    async def standing(self, front_max: int) -> Standing:
        """See `WorkStore.standing`."""
        depths = await self.depths()
        fronts = [
            Front(queue, depth, await self.beyond(queue, 0, front_max))
            for queue, depth in depths.items()
        ]
        return Standing(self.position, fronts)

    async def persist(self, changes: Changes, after: int, position: int) -> None:
        """See `WorkStore.persist`."""
        if self.position != after:
            raise CheckpointMoved(CheckpointMoved.__doc__)
        self.position = position
        for job_id, row in changes.rows.items():
            self.jobs[job_id] = replace(row, is_first=False)
            self._move(self.jobs[job_id], row.step)
        for job_id, step in changes.steps.items():
            if job_id in self.jobs:
                self._move(self.jobs[job_id], step)
        for job_id in changes.ended:
            self.jobs.pop(job_id, None)
        self.results |= changes.results
        self.uploads |= changes.uploads
        for job_id in changes.results_gone:
            self.results.pop(job_id, None)
        for upload_id in changes.uploads_gone:
            self.uploads.pop(upload_id, None)

    async def find(self, job_ids: Sequence[UUID]) -> Mapping[UUID, JobRow]:
        """See `WorkStore.find`."""
        return {job_id: replace(self.jobs[job_id]) for job_id in job_ids if job_id in self.jobs}

    async def beyond(self, queue: str, reach: int, limit: int) -> Sequence[Runnable]:
        """See `WorkStore.beyond`."""
        waiting = [
            Runnable(row.job.job_id, row.step.version, row.place, row.step.since)
            for row in self.jobs.values()
            if row.step.state is State.QUEUED and row.job.queue == queue and row.place > reach
        ]
        return sorted(waiting, key=lambda job: job.place)[:limit]

    async def depths(self) -> Mapping[str, int]:
        """See `WorkStore.depths`."""
        queued = (row for row in self.jobs.values() if row.step.state is State.QUEUED)
        return Counter(row.job.queue for row in queued)

    def _move(self, row: JobRow, step: Step) -> None:
        row.place = row.place if step.place is None else step.place
        row.lease = row.lease if step.lease is None else step.lease
        row.step = replace(step, place=row.place, lease=row.lease)
