"""The tables of work: what is runnable, due or running, kept by the dispatcher, read by the clock.

They are a fold of the log up to a checkpoint that moves together with the rows. Two dispatchers
cannot both move it: the second finds it elsewhere, and nothing of its batch is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import asyncpg

from infrastructure.postgres import Role
from processors import work_statements as sql
from processors.changes import Changes, JobRow, State, Step, WaitingJob
from processors.queues import Runnable
from processors.session import Session

CHECKPOINT_NAME: Final = "dispatcher"


class CheckpointMoved(Exception):
    """Somebody else has moved the checkpoint: what this process believes is out of date."""


@dataclass(frozen=True, slots=True)
class Front:
    """One queue as it stands in the tables."""

    queue: str
    depth: int
    jobs: Sequence[Runnable]
    """Its first ones, in order of place."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the tables stand."""

    position: int
    fronts: Sequence[Front]


class WorkStore(Protocol):
    """What the dispatcher needs of the tables."""

    async def standing(self, front_max: int) -> Standing:
        """The checkpoint and the front of each queue, as of one moment."""
        ...

    async def persist(self, changes: Changes, after: int, position: int) -> None:
        """Write the changes of the events after `after` up to `position`, all or nothing.

        Raises CheckpointMoved.
        """
        ...

    async def find(self, job_ids: Sequence[UUID]) -> Mapping[UUID, JobRow]:
        """The rows of these jobs; those without one are left out."""
        ...

    async def beyond(self, queue: str, reach: int, limit: int) -> Sequence[Runnable]:
        """The jobs that wait in a queue behind a place, in order."""
        ...

    async def depths(self) -> Mapping[str, int]:
        """How many jobs wait in each queue."""
        ...


class PostgresWork:
    """The tables in PostgreSQL, over a connection of their own."""

    def __init__(self, dsn: str, role: Role | None = Role.PROCESSORS) -> None:
        self._session = Session(dsn, role)

    async def standing(self, front_max: int) -> Standing:
        """See `WorkStore.standing`."""
        async with self._session.transaction(isolation="repeatable_read") as connection:
            position = await connection.fetchval(sql.CHECKPOINT, CHECKPOINT_NAME)
            rows = await connection.fetch(sql.FRONTS, max(front_max, 1))
        return Standing(position, _fronts(rows))

    async def persist(self, changes: Changes, after: int, position: int) -> None:
        """See `WorkStore.persist`."""
        if changes:
            budgets = [row.job.queue_seconds_max for row in changes.rows.values()]
            values = (*_rows(changes), *_steps(changes), *_rest(changes), budgets)
            moved = await self._session.fetch(
                sql.PERSIST, CHECKPOINT_NAME, after, position, *values
            )
        else:
            moved = await self._session.fetch(sql.MOVE, CHECKPOINT_NAME, after, position)
        if not moved:
            raise CheckpointMoved(CheckpointMoved.__doc__)

    async def find(self, job_ids: Sequence[UUID]) -> Mapping[UUID, JobRow]:
        """See `WorkStore.find`."""
        found = await self._session.fetch(sql.FIND, list(job_ids))
        return {_plain(row["job_id"]): _job_row(row) for row in found}

    async def beyond(self, queue: str, reach: int, limit: int) -> Sequence[Runnable]:
        """See `WorkStore.beyond`."""
        return [
            _runnable(row) for row in await self._session.fetch(sql.BEYOND, queue, reach, limit)
        ]

    async def depths(self) -> Mapping[str, int]:
        """See `WorkStore.depths`."""
        return {row["queue"]: row["depth"] for row in await self._session.fetch(sql.DEPTHS)}

    async def reset(self) -> None:
        """Forget everything but the leases; a dispatcher that runs notices and folds anew."""
        await self._session.fetch(sql.RESET, CHECKPOINT_NAME)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._session.close()


def _fronts(rows: Sequence[asyncpg.Record]) -> list[Front]:
    jobs: dict[tuple[str, int], list[Runnable]] = {}
    for row in rows:
        jobs.setdefault((row["queue"], row["depth"]), []).append(_runnable(row))
    return [
        Front(queue, depth, sorted(front, key=lambda job: job.place))
        for (queue, depth), front in jobs.items()
    ]


def _rows(changes: Changes) -> tuple[list[Any], ...]:
    rows = list(changes.rows.values())
    jobs = [row.job for row in rows]
    return (
        [job.job_id for job in jobs],
        [job.tenant for job in jobs],
        [job.queue for job in jobs],
        [job.priority for job in jobs],
        [job.tool for job in jobs],
        [job.timeout_seconds for job in jobs],
        [row.step.state.value for row in rows],
        [row.step.version for row in rows],
        [row.step.position for row in rows],
        [row.place for row in rows],
        [row.step.since for row in rows],
        [row.step.due_at for row in rows],
        [row.lease for row in rows],
        [row.step.worker for row in rows],
    )


def _steps(changes: Changes) -> tuple[list[Any], ...]:
    steps = list(changes.steps.values())
    return (
        list(changes.steps),
        [step.state.value for step in steps],
        [step.version for step in steps],
        [step.position for step in steps],
        [step.since for step in steps],
        [step.place for step in steps],
        [step.due_at for step in steps],
        [step.lease for step in steps],
        [step.worker for step in steps],
    )


def _rest(changes: Changes) -> tuple[list[Any], ...]:
    return (
        list(changes.ended),
        list(changes.results),
        list(changes.results.values()),
        list(changes.results_gone),
        list(changes.uploads),
        list(changes.uploads.values()),
        list(changes.uploads_gone),
        [timer.value for timer, _ in changes.timers],
        [subject_id for _, subject_id in changes.timers],
        list(changes.timers.values()),
        [timer.value for timer, _ in changes.timers_gone],
        [subject_id for _, subject_id in changes.timers_gone],
    )


def _runnable(row: asyncpg.Record) -> Runnable:
    return Runnable(_plain(row["job_id"]), row["version"], row["place"], row["since"])


def _job_row(row: asyncpg.Record) -> JobRow:
    job = WaitingJob(
        job_id=_plain(row["job_id"]),
        tenant=row["tenant"],
        queue=row["queue"],
        priority=row["priority"],
        tool=row["tool"],
        timeout_seconds=row["timeout_seconds"],
        queue_seconds_max=row["queue_seconds_max"],
    )
    since: datetime = row["since"]
    step = Step(State(row["state"]), row["version"], row["position"], since)
    return JobRow(job, step, place=row["place"], lease=row["lease"])


def _plain(value: UUID) -> UUID:
    """asyncpg's own UUID class equals the standard one, but is not the same type."""
    return UUID(int=value.int)
