"""Keeps the leases of a worker's jobs alive, and hears when one is lost.

All of them are renewed by one statement per beat, under the database's clock; heartbeats never
enter the log. The same statement tells to which jobs something has happened since their claim: that
is how a worker learns, at the latest, that a job was called off or given to another. A job that
ends before the first beat is never written at all.

While Postgres is away the jobs go on: nobody can take them. A connection that breaks between two
beats brings the next one forward, and a beat that failed is tried again soon, because the clock
waits only for so long to hear of a worker once Postgres is back (`WORKER_RECONNECT_SECONDS`).
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol
from uuid import UUID

import asyncpg
import structlog

from events.contracts.values import JobStatus
from events.domain.errors import NotFound
from events.domain.job import Job
from events.store.repository import LogUnavailable, Repository
from infrastructure import metrics
from infrastructure.postgres import UNAVAILABLE, Role
from processors import work_statements as sql
from processors.session import Session

RETRY_SECONDS: Final = 0.5
"""Between two tries of a beat that failed: after an outage the first one counts."""

_CANNOT_BEAT: tuple[type[BaseException], ...] = (*UNAVAILABLE, asyncpg.PostgresError)

log = structlog.get_logger(__name__)


class Loss(Enum):
    """Why an attempt may not go on."""

    CANCELLED = auto()
    """The job was called off."""
    SUPERSEDED = auto()
    """The lease ran out and the job was given away."""


@dataclass(slots=True)
class Held:
    """One lease that is being kept."""

    job_id: UUID
    lease: int
    version: int
    """The latest one that we know; what is newer was somebody else's doing."""
    on_loss: Callable[[Loss], None]
    is_written: bool = False


class Beats(Protocol):
    """Where heartbeats go."""

    @property
    def cut(self) -> asyncio.Event:
        """Set when the connection breaks; whoever beats clears it."""
        ...

    async def beat(
        self, worker: str, held: Sequence[Held], ended: Sequence[UUID]
    ) -> Sequence[UUID]:
        """Renew what is held, drop what has ended; returns the jobs that have moved on."""
        ...


class PostgresBeats:
    """Heartbeats in `work.leases`, over a connection of their own."""

    def __init__(self, dsn: str, role: Role | None = Role.PROCESSORS) -> None:
        self._session = Session(dsn, role, timeout_seconds=5.0)

    @property
    def cut(self) -> asyncio.Event:
        """See `Beats.cut`."""
        return self._session.cut

    async def beat(
        self, worker: str, held: Sequence[Held], ended: Sequence[UUID]
    ) -> Sequence[UUID]:
        """See `Beats.beat`."""
        with metrics.BEAT_SECONDS.time():
            rows = await self._session.fetch(
                sql.BEAT,
                worker,
                [each.job_id for each in held],
                [each.lease for each in held],
                [each.version for each in held],
                ended,
            )
        return [UUID(int=row["job_id"].int) for row in rows]

    async def close(self) -> None:
        """Let go of the connection."""
        await self._session.close()


class Leases:
    """The leases of one worker."""

    def __init__(
        self, worker: str, beats: Beats, repository: Repository, beat_seconds: float
    ) -> None:
        self._worker = worker
        self._beats = beats
        self._repository = repository
        self._beat_seconds = beat_seconds
        self._held: dict[UUID, Held] = {}
        self._ended: set[UUID] = set()
        self._is_failing = False

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._held

    def hold(self, job_id: UUID, lease: int, version: int, on_loss: Callable[[Loss], None]) -> Held:
        """Keep a lease from now on; `on_loss` is called at most once."""
        held = Held(job_id, lease, version, on_loss)
        self._ended.discard(job_id)
        self._held[job_id] = held
        return held

    def let_go(self, held: Held) -> None:
        """The attempt is over."""
        if self._held.get(held.job_id) is held:
            del self._held[held.job_id]
            if held.is_written:
                self._ended.add(held.job_id)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            pause = self._beat_seconds
            self._beats.cut.clear()
            if self._held or self._ended:
                try:
                    pause = await self._beat()
                except Exception:
                    # Whatever it is, a worker that stopped beating would lose all its jobs.
                    log.exception("beat_broken")
            await self._rest(pause)

    async def reconsider(self, job_id: UUID) -> None:
        """Look whether a job is still ours, and tell its attempt if it is not."""
        held = self._held.get(job_id)
        if held is None:
            return
        try:
            job = await self._repository.load(Job, job_id)
        except (LogUnavailable, NotFound):
            return
        if job.holds(held.lease):
            held.version = job.version
        elif self._held.get(job_id) is held:
            is_cancelled = job.status is JobStatus.CANCELLED and job.lease == held.lease
            self.let_go(held)
            held.on_loss(Loss.CANCELLED if is_cancelled else Loss.SUPERSEDED)

    async def _rest(self, seconds: float) -> None:
        if self._is_failing:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._beats.cut.wait()

    async def _beat(self) -> float:
        """One beat; returns the pause before the next."""
        held, ended = list(self._held.values()), list(self._ended)
        for each in held:
            # Before it is known to have arrived: a row too many is removed, one too few is not.
            each.is_written = True
        try:
            moved_on = await self._beats.beat(self._worker, held, ended)
        except _CANNOT_BEAT as error:
            if not self._is_failing:
                log.warning("beat_failed", error=type(error).__name__, leases=len(held))
            self._is_failing = True
            return min(RETRY_SECONDS, self._beat_seconds)
        if self._is_failing:
            log.info("beat_recovered", leases=len(held))
        self._is_failing = False
        self._ended.difference_update(ended)
        await asyncio.gather(*(self.reconsider(job_id) for job_id in moved_on))
        return self._beat_seconds
