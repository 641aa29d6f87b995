"""Applies a batch of events: folded in memory, written with the checkpoint in one statement.

A batch is applied whole or not at all. An event that cannot be folded, or that the database refuses
to hold, is found and its aggregate parked, and the rest of the batch is applied.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from events.contracts.envelope import RecordedRow
from infrastructure.postgres import Connection
from projectors import checkpoints, statements
from projectors.checkpoints import Damaged, NotTheOwner, Standing
from projectors.group import Event, Group
from projectors.parking import Poisoned, Reason
from projectors.rows import RowsChanged
from projectors.statements import Write

Moving = Callable[[Group, Standing, int], Write]
"""How the checkpoint moves to a position, in the statement of the rows."""

_CHANGED: tuple[type[Exception], ...] = (
    RowsChanged,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UniqueViolationError,
    asyncpg.NotNullViolationError,
)
"""What says that the tables are not as this projector left them."""


@dataclass(frozen=True, slots=True)
class JobState:
    """What a batch made of one job: all that live status shows."""

    job_id: UUID
    status: str
    attempt: int
    version: int
    position: int


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did."""

    standing: Standing
    events: Sequence[Event]
    jobs: Sequence[JobState]


class Batches:
    """Applies batches to one generation of a group."""

    def __init__(self, group: Group, moving: Moving = checkpoints.moving) -> None:
        self._group = group
        self._moving = moving

    async def apply(
        self, connection: Connection, standing: Standing, rows: Sequence[RecordedRow]
    ) -> Applied:
        """Apply the rows that directly follow the standing.

        Raises NotTheOwner, Damaged, UnknownTopic, TooManyPoisoned, and what asyncpg raises; after
        any error nothing was applied, and the group must be loaded anew.
        """
        while True:
            try:
                return await self._apply(connection, standing, rows)
            except Poisoned as poisoned:
                self._group.clear()
                self._group.parking.park(poisoned)
            except asyncpg.DataError as error:
                self._group.clear()
                if len(rows) > 1:
                    return await self._apply_halves(connection, standing, rows)
                self._group.parking.park(Poisoned(rows[0], Reason.WRITE_REFUSED, error))
            except _CHANGED as error:
                raise Damaged(str(error)) from error

    async def _apply(
        self, connection: Connection, standing: Standing, rows: Sequence[RecordedRow]
    ) -> Applied:
        group = self._group
        events = group.decode(rows)
        await group.load(connection, standing.generation, events)
        group.fold(events)
        await self._write(connection, standing, rows[-1].position)
        jobs = [
            JobState(job.job_id, str(job.status), job.attempt, job.version, job.position)
            for job in group.changed_jobs
        ]
        group.settle()
        return Applied(Standing(standing.generation, rows[-1].position), events, jobs)

    async def _write(self, connection: Connection, standing: Standing, to: int) -> None:
        """One statement, and so one transaction: checkpoint and rows, or nothing at all."""
        move = self._moving(self._group, standing, to)
        arguments, parts = list(move.arguments), []
        writes = self._group.writes(standing.generation)
        for write in writes:
            parts.append(write.sql(len(arguments) + 1))
            arguments += write.arguments
        statement = statements.joined(move.sql(1), move.rows, tuple(parts))
        touched = await connection.fetchrow(statement, *arguments)
        moved, *written = touched or (0,)
        if moved != move.rows:
            raise NotTheOwner(NotTheOwner.__doc__)
        if written != [write.rows for write in writes]:
            raise RowsChanged(f"wrote {written} rows, not {[write.rows for write in writes]}")

    async def _apply_halves(
        self, connection: Connection, standing: Standing, rows: Sequence[RecordedRow]
    ) -> Applied:
        """Find the event that the database refuses, and apply the others."""
        middle = len(rows) // 2
        first = await self.apply(connection, standing, rows[:middle])
        second = await self.apply(connection, first.standing, rows[middle:])
        jobs = {job.job_id: job for job in (*first.jobs, *second.jobs)}
        return Applied(second.standing, [*first.events, *second.events], list(jobs.values()))
