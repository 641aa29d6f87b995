"""Which jobs a bulk operation may be about, found without reading a log of millions.

Jobs that have not ended stand in the dispatcher's table `work.jobs`. Those that failed or were
cancelled, and the operations that run, stand in tables of their own: a fold of the few events that
say so, with a checkpoint of its own. What is found here is only a candidate: the job decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from events.contracts import bulk, job
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from events.contracts.values import JobStatus
from events.domain.bulk import BulkFilter
from events.domain.job import QUEUE_TIMEOUT, WORKER_LOST
from events.store.codec import Codec
from events.store.log import TAIL_SETTINGS, recorded_row
from events.store.statements import READ_HEAD, READ_WINDOW
from processors.bulk import statements as sql
from processors.session import Session
from processors.work import CHECKPOINT_NAME as DISPATCHER
from processors.work import CheckpointMoved

CHECKPOINT_NAME: Final = "bulk"
WINDOW_EVENTS_MAX: Final = 200_000
"""Of the log in one read; only few of them are of any interest."""
EVENTS_MAX: Final = 5_000
OPEN_MAX: Final = 50
"""Operations that are worked on at a time, of all tenants; later ones wait."""


@dataclass(frozen=True, slots=True)
class OpenBulk:
    """An operation that has not ended."""

    bulk_id: UUID
    position: int
    """Of the request."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that has ended without success."""

    tenant: str
    status: JobStatus
    code: str | None
    ended_at: datetime
    position: int


@dataclass(slots=True)
class IndexChanges:
    """The net effect of a stretch of the log."""

    dead: dict[UUID, DeadLetter] = field(default_factory=dict)
    revived: set[UUID] = field(default_factory=set)
    opened: dict[UUID, int] = field(default_factory=dict)
    closed: set[UUID] = field(default_factory=set)

    def __len__(self) -> int:
        """How many rows it touches."""
        return len(self.dead) + len(self.revived) + len(self.opened) + len(self.closed)

    def fold(self, row: RecordedRow, fact: AnyFact) -> None:
        """Fold one event."""
        key = row.originator_id
        match fact:
            case job.AttemptFailed() if fact.retry_at is None:
                self._died(row, JobStatus.FAILED, fact.code)
            case job.AttemptExpired() if not fact.requeued:
                self._died(row, JobStatus.FAILED, WORKER_LOST)
            case job.JobWaitExpired():
                self._died(row, JobStatus.FAILED, QUEUE_TIMEOUT)
            case job.JobCancelled():
                self._died(row, JobStatus.CANCELLED, None)
            case job.JobReopened():
                self.dead.pop(key, None)
                self.revived.add(key)
            case bulk.BulkRequested():
                self.opened[key] = row.position
            case bulk.BulkFinished() | bulk.BulkCancelled():
                self.opened.pop(key, None)
                self.closed.add(key)

    def _died(self, row: RecordedRow, status: JobStatus, code: str | None) -> None:
        letter = DeadLetter(row.tenant, status, code, row.recorded_at, row.position)
        self.dead[row.originator_id] = letter
        self.revived.discard(row.originator_id)


FOLDED: Final[tuple[type[AnyFact], ...]] = (
    *(job.AttemptFailed, job.AttemptExpired, job.JobWaitExpired),
    *(job.JobCancelled, job.JobReopened),
    *(bulk.BulkRequested, bulk.BulkFinished, bulk.BulkCancelled),
)
TOPICS: Final = [fact.TOPIC for fact in FOLDED]


class BulkIndex(Protocol):
    """What the service of bulk operations needs to find its work."""

    async def catch_up(self) -> bool:
        """Fold what was appended since; False if there is more. Raises CheckpointMoved."""
        ...

    async def open(self) -> Sequence[OpenBulk]:
        """The operations that have not ended, oldest first, at most OPEN_MAX."""
        ...

    async def unfinished(
        self, tenant: str, wanted: BulkFilter, up_to: int, after: UUID, limit: int
    ) -> Sequence[UUID] | None:
        """Jobs that have not ended, by id; None while the table is behind position `up_to`."""
        ...

    async def dead(
        self, tenant: str, wanted: BulkFilter, up_to: int, after: UUID, limit: int
    ) -> Sequence[UUID]:
        """Jobs that had failed or been cancelled before position `up_to`, by id."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class PostgresBulkIndex:
    """The tables in PostgreSQL, over a connection of their own."""

    def __init__(self, dsn: str) -> None:
        self._session = Session(dsn, prepare=TAIL_SETTINGS)
        self._codec = Codec()

    async def catch_up(self) -> bool:
        """See `BulkIndex.catch_up`."""
        (head,) = await self._session.fetch(READ_HEAD)
        after = (await self._checkpoints()).get(CHECKPOINT_NAME, 0)
        up_to = min(head["position"], after + WINDOW_EVENTS_MAX)
        if up_to == after:
            return True
        rows = [
            recorded_row(row)
            for row in await self._session.fetch(READ_WINDOW, after, up_to, TOPICS, EVENTS_MAX)
        ]
        if len(rows) == EVENTS_MAX:
            up_to = rows[-1].position
        changes = IndexChanges()
        for row in rows:
            changes.fold(row, self._codec.decode_row(row).fact)
        await self._persist(changes, after, up_to)
        return bool(up_to == head["position"])

    async def open(self) -> Sequence[OpenBulk]:
        """See `BulkIndex.open`."""
        rows = await self._session.fetch(sql.OPEN, OPEN_MAX)
        return [OpenBulk(_plain(row["bulk_id"]), row["position"]) for row in rows]

    async def unfinished(
        self, tenant: str, wanted: BulkFilter, up_to: int, after: UUID, limit: int
    ) -> Sequence[UUID] | None:
        """See `BulkIndex.unfinished`."""
        if (await self._checkpoints()).get(DISPATCHER, 0) < up_to:
            return None
        return await self._ids(sql.UNFINISHED, tenant, after, limit, wanted.queue, wanted.tool)

    async def dead(
        self, tenant: str, wanted: BulkFilter, up_to: int, after: UUID, limit: int
    ) -> Sequence[UUID]:
        """See `BulkIndex.dead`."""
        statuses = [status.value for status in wanted.statuses]
        return await self._ids(sql.DEAD, tenant, after, limit, statuses, wanted.error_code, up_to)

    async def reset(self) -> None:
        """Forget everything; the next `catch_up` begins at the first event."""
        await self._session.fetch(sql.FORGET, CHECKPOINT_NAME)

    async def close(self) -> None:
        """See `BulkIndex.close`."""
        await self._session.close()

    async def _checkpoints(self) -> dict[str, int]:
        rows = await self._session.fetch(sql.CHECKPOINTS, [CHECKPOINT_NAME, DISPATCHER])
        return {row["name"]: row["position"] for row in rows}

    async def _ids(self, statement: str, *values: Any) -> list[UUID]:
        rows = await self._session.fetch(statement, *values)
        return [_plain(row["job_id"]) for row in rows]

    async def _persist(self, changes: IndexChanges, after: int, position: int) -> None:
        letters = changes.dead.values()
        moved = await self._session.fetch(
            sql.PERSIST,
            *(CHECKPOINT_NAME, after, position),
            list(changes.dead),
            [letter.tenant for letter in letters],
            [letter.status.value for letter in letters],
            [letter.code for letter in letters],
            [letter.ended_at for letter in letters],
            [letter.position for letter in letters],
            list(changes.revived),
            list(changes.opened),
            list(changes.opened.values()),
            list(changes.closed),
        )
        if not moved:
            raise CheckpointMoved(CheckpointMoved.__doc__)


def _plain(value: UUID) -> UUID:
    """asyncpg's own UUID class equals the standard one, but is not the same type."""
    return UUID(int=value.int)
