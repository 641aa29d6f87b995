"""What the clock sees of the tables of work, in one look: what is due, what runs, what may go."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from processors import work_statements as sql
from processors.changes import Timer
from processors.session import Session
from processors.silence import Pulse

LOGS_SWEPT_MAX: Final = 5_000


@dataclass(slots=True)
class Found:
    """What one look found."""

    due: list[UUID] = field(default_factory=list)
    """Jobs whose time has come."""
    results: list[UUID] = field(default_factory=list)
    """Jobs whose outputs may be deleted."""
    uploads: list[UUID] = field(default_factory=list)
    """Uploads that may be deleted."""
    waits: list[UUID] = field(default_factory=list)
    """Jobs that may have waited too long for their first start."""
    schedules: list[UUID] = field(default_factory=list)
    """Schedules whose next time has come."""
    pulses: list[Pulse] = field(default_factory=list)
    """Of all attempts that run."""
    next_due_seconds: float | None = None
    """Until the next job falls due or timer ends; None if nothing waits for a time."""

    def is_cut(self, most: int) -> bool:
        """Whether there may be more of a kind than was asked for."""
        kinds = (self.due, self.results, self.uploads, self.waits, self.schedules)
        return any(len(ids) >= most for ids in kinds)


class Sweeps(Protocol):
    """What the clock needs of the tables."""

    async def look(self, most: int, running_max: int) -> Found:
        """Up to `most` of each kind, oldest first, and up to `running_max` pulses."""
        ...

    async def tidy(self, older_than: timedelta) -> None:
        """Remove beats of attempts that are over, and logs that have expired."""
        ...

    async def close(self) -> None:
        """Let go of the tables."""
        ...


class PostgresSweeps:
    """The tables in PostgreSQL, over a connection of its own."""

    def __init__(self, dsn: str) -> None:
        self._session = Session(dsn)

    async def look(self, most: int, running_max: int) -> Found:
        """See `Sweeps.look`."""
        return _by_kind(await self._session.fetch(sql.SWEEP, most, running_max))

    async def tidy(self, older_than: timedelta) -> None:
        """See `Sweeps.tidy`."""
        await self._session.fetch(sql.SWEEP_LEASES, older_than)
        await self._session.fetch(sql.SWEEP_LOGS, LOGS_SWEPT_MAX)
        await self._session.fetch(sql.SWEEP_WORKERS)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._session.close()


def _by_kind(rows: Iterable[Any]) -> Found:
    found = Found()
    ids = {
        "due": found.due,
        "result": found.results,
        "upload": found.uploads,
        Timer.WAIT: found.waits,
        Timer.SCHEDULE: found.schedules,
    }
    for row in rows:
        match row["what"]:
            case "next":
                found.next_due_seconds = row["seconds"]
            case "running":
                found.pulses.append(Pulse(UUID(int=row["id"].int), row["lease"], row["beats"]))
            case kind:
                ids[kind].append(UUID(int=row["id"].int))
    return found
