"""The index of bulk operations in memory: a twin of that in PostgreSQL, held to the same tests."""

from collections.abc import Sequence
from uuid import UUID

from events.domain.bulk import BulkFilter
from events.store.codec import Codec
from events.store.log import Log
from processors.bulk.index import OPEN_MAX, TOPICS, DeadLetter, IndexChanges, OpenBulk
from processors.work_memory import MemoryWork


class MemoryBulkIndex:
    """Folds the log into dictionaries; unfinished jobs are those of the tables of work."""

    def __init__(self, log: Log, work: MemoryWork) -> None:
        self._log = log
        self._work = work
        self._codec = Codec()
        self._position = 0
        self._dead: dict[UUID, DeadLetter] = {}
        self._open: dict[UUID, int] = {}

    async def catch_up(self) -> bool:
        """See `BulkIndex.catch_up`."""
        changes = IndexChanges()
        rows = await self._log.read_after(self._position)
        for row in rows:
            if row.topic in TOPICS:
                changes.fold(row, self._codec.decode_row(row).fact)
            self._position = row.position
        self._dead |= changes.dead
        self._open |= changes.opened
        for job_id in changes.revived:
            self._dead.pop(job_id, None)
        for bulk_id in changes.closed:
            self._open.pop(bulk_id, None)
        return self._position == await self._log.head()

    async def open(self) -> Sequence[OpenBulk]:
        """See `BulkIndex.open`."""
        oldest_first = sorted(self._open.items(), key=lambda item: item[1])
        return [OpenBulk(*item) for item in oldest_first[:OPEN_MAX]]

    async def unfinished(
        self, tenant: str, wanted: BulkFilter, up_to: int, after: UUID, limit: int
    ) -> Sequence[UUID] | None:
        """See `BulkIndex.unfinished`."""
        if self._work.position < up_to:
            return None
        found = (
            job_id
            for job_id, row in self._work.jobs.items()
            if row.job.tenant == tenant
            and job_id > after
            and wanted.queue in (None, row.job.queue)
            and wanted.tool in (None, row.job.tool)
        )
        return sorted(found)[:limit]

    async def dead(
        self, tenant: str, wanted: BulkFilter, up_to: int, after: UUID, limit: int
    ) -> Sequence[UUID]:
        """See `BulkIndex.dead`."""
        found = (
            job_id
            for job_id, letter in self._dead.items()
            if letter.tenant == tenant
            and job_id > after
            and letter.status in wanted.statuses
            and wanted.error_code in (None, letter.code)
            and letter.position < up_to
        )
        return sorted(found)[:limit]

    async def close(self) -> None:
        """Nothing to let go of."""
