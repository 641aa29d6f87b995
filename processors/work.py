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

from events.contracts.limit import LimitScope
from events.store.sealing import secrets_id
from infrastructure.postgres import Role
from processors import work_statements as sql
from processors.changes import (
    Changes,
    JobRow,
    PausedQueue,
    SetLimit,
    State,
    Step,
    WaitingJob,
)
from processors.gates import Bound, Scope
from processors.lanes import LaneKey, Runnable
from processors.session import Session

CHECKPOINT_NAME: Final = "dispatcher"


class CheckpointMoved(Exception):
    """Somebody else has moved the checkpoint: what this process believes is out of date."""


@dataclass(frozen=True, slots=True)
class Front:
    """One lane as it stands in the tables."""

    lane: LaneKey
    depth: int
    jobs: Sequence[Runnable]
    """Its first ones, in order of place."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the tables stand."""

    position: int
    fronts: Sequence[Front]
    running: Mapping[UUID, LaneKey]
    limits: Sequence[SetLimit]
    paused: Sequence[PausedQueue]


class WorkStore(Protocol):
    """What the dispatcher needs of the tables."""

    async def standing(self, front_max: int, lanes_max: int) -> Standing:
        """All that there is to know at the beginning, as of one moment.

        Of each lane its front; of too many lanes those that wait longest.
        """
        ...

    async def persist(self, changes: Changes, after: int, position: int) -> None:
        """Write the changes of the events after `after` up to `position`, all or nothing.

        Raises CheckpointMoved.
        """
        ...

    async def find(self, job_ids: Sequence[UUID]) -> Mapping[UUID, JobRow]:
        """The rows of these jobs; those without one are left out."""
        ...

    async def beyond(
        self, lanes: Sequence[tuple[LaneKey, int]], limit: int
    ) -> Sequence[Sequence[Runnable]]:
        """The first jobs that wait in each of these lanes beyond a place, in order."""
        ...


class PostgresWork:
    """The tables in PostgreSQL, over a connection of their own."""

    def __init__(self, dsn: str, role: Role | None = Role.PROCESSORS) -> None:
        self._session = Session(dsn, role)

    async def standing(self, front_max: int, lanes_max: int) -> Standing:
        """See `WorkStore.standing`."""
        async with self._session.transaction(isolation="repeatable_read") as connection:
            position = await connection.fetchval(sql.CHECKPOINT, CHECKPOINT_NAME)
            rows = await connection.fetch(sql.LANES, lanes_max)
            lanes = [_lane(row) for row in rows]
            starts = _lane_arrays([(lane, 0) for lane in lanes])
            found = await connection.fetch(sql.BEYOND, *starts, max(front_max, 1))
            running = await connection.fetch(sql.RUNNING)
            limits = await connection.fetch(sql.LIMITS)
            paused = await connection.fetch(sql.PAUSED)
        jobs = _by_lane(found, len(lanes))
        return Standing(
            position,
            [Front(_lane(row), row["depth"], jobs[number]) for number, row in enumerate(rows)],
            {_plain(row["job_id"]): _lane(row) for row in running},
            [_limit(row) for row in limits],
            [PausedQueue(row["tenant"], row["queue"]) for row in paused],
        )

    async def persist(self, changes: Changes, after: int, position: int) -> None:
        """See `WorkStore.persist`."""
        if changes.limits or changes.pauses:
            async with self._session.transaction() as connection:
                moved = await connection.fetch(*_persisted(changes, after, position))
                await connection.execute(sql.STEER, *_limits(changes), *_pauses(changes))
                if not moved:
                    raise CheckpointMoved(CheckpointMoved.__doc__)
        elif not await self._session.fetch(*_persisted(changes, after, position)):
            raise CheckpointMoved(CheckpointMoved.__doc__)

    async def find(self, job_ids: Sequence[UUID]) -> Mapping[UUID, JobRow]:
        """See `WorkStore.find`."""
        found = await self._session.fetch(sql.FIND, list(job_ids))
        return {_plain(row["job_id"]): _job_row(row) for row in found}

    async def beyond(
        self, lanes: Sequence[tuple[LaneKey, int]], limit: int
    ) -> Sequence[Sequence[Runnable]]:
        """See `WorkStore.beyond`."""
        found = await self._session.fetch(sql.BEYOND, *_lane_arrays(lanes), limit)
        return _by_lane(found, len(lanes))

    async def reset(self) -> None:
        """Forget everything but the leases; a dispatcher that runs notices and folds anew."""
        await self._session.fetch(sql.RESET, CHECKPOINT_NAME)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._session.close()


def _persisted(changes: Changes, after: int, position: int) -> tuple[Any, ...]:
    """The statement that writes the changes, and its values."""
    if not changes:
        return (sql.MOVE, CHECKPOINT_NAME, after, position)
    values = (*_rows(changes), *_steps(changes), *_rest(changes), *_later(changes))
    return (sql.PERSIST, CHECKPOINT_NAME, after, position, *values)


def _lane_arrays(lanes: Sequence[tuple[LaneKey, int]]) -> list[list[Any]]:
    rows = [(*lane, reach) for lane, reach in lanes]
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(6)]


def _by_lane(rows: Sequence[asyncpg.Record], lanes: int) -> list[list[Runnable]]:
    jobs: list[list[Runnable]] = [[] for _ in range(lanes)]
    for row in rows:
        jobs[row["number"] - 1].append(_runnable(row))
    return [sorted(each, key=lambda job: job.place) for each in jobs]


def _lane(row: asyncpg.Record) -> LaneKey:
    return LaneKey(row["queue"], row["priority"], row["tenant"], row["tool"], row["limit_key"])


def _limit(row: asyncpg.Record) -> SetLimit:
    scope = Scope(row["tenant"], LimitScope(row["scope"]), row["subject"])
    return SetLimit(scope, Bound(row["concurrency"], row["rate"], row["per_seconds"]))


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


def _later(changes: Changes) -> tuple[list[Any], ...]:
    """What rows and steps got since, at the end of the statement's values."""
    jobs = [row.job for row in changes.rows.values()]
    return (
        [job.queue_seconds_max for job in jobs],
        [job.limit_key for job in jobs],
        [step.priority for step in changes.steps.values()],
        [secrets_id(job_id) for job_id in (*changes.ended, *changes.secrets_gone)],
    )


def _limits(changes: Changes) -> tuple[list[Any], ...]:
    set_ones = {key: limit for key, limit in changes.limits.items() if limit is not None}
    limits = list(set_ones.values())
    return (
        list(set_ones),
        [limit.scope.tenant for limit in limits],
        [limit.scope.kind.value for limit in limits],
        [limit.scope.subject for limit in limits],
        [limit.bound.concurrency for limit in limits],
        [limit.bound.rate for limit in limits],
        [limit.bound.per_seconds for limit in limits],
        [key for key in changes.limits if key not in set_ones],
    )


def _pauses(changes: Changes) -> tuple[list[Any], ...]:
    paused = {key: queue for key, queue in changes.pauses.items() if queue is not None}
    queues = list(paused.values())
    return (
        list(paused),
        [each.tenant for each in queues],
        [each.queue for each in queues],
        [key for key in changes.pauses if key not in paused],
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
        limit_key=row["limit_key"],
    )
    since: datetime = row["since"]
    step = Step(
        State(row["state"]),
        row["version"],
        row["position"],
        since,
        due_at=row["due_at"],
        worker=row["worker"],
    )
    return JobRow(job, step, place=row["place"], lease=row["lease"])


def _plain(value: UUID) -> UUID:
    """asyncpg's own UUID class equals the standard one, but is not the same type."""
    return UUID(int=value.int)
