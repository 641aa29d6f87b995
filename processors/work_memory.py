"""The tables of work in memory: a twin of those in PostgreSQL, held to the same suite of tests.

For simulations, and for tests of the dispatcher that need no database.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from events.store.log import Log
from infrastructure.clock import Clock
from processors.changes import Changes, JobRow, State, Step, Timer, TimerKey
from processors.lease import Held
from processors.queues import Runnable
from processors.silence import Pulse
from processors.sweeps import Found
from processors.work import CheckpointMoved, Front, Standing


@dataclass(slots=True)
class LeaseRow:
    """One row of `work.leases`."""

    lease: int
    worker: str
    beats: int
    beat_at: datetime


class MemoryWork:
    """Keeps the rows in dictionaries."""

    def __init__(self) -> None:
        self.position = 0
        self.leases: dict[UUID, LeaseRow] = {}
        self.jobs: dict[UUID, JobRow] = {}
        self.results: dict[UUID, datetime] = {}
        self.uploads: dict[UUID, datetime] = {}
        self.timers: dict[TimerKey, datetime] = {}

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
        started = (j for j, step in changes.steps.items() if step.state is State.RUNNING)
        for job_id in (*changes.ended, *started):
            self.timers.pop((Timer.WAIT, job_id), None)
        for key in changes.timers_gone:
            self.timers.pop(key, None)
        self.timers |= changes.timers

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


class MemorySweeps:
    """What the clock sees of tables in memory."""

    def __init__(self, work: MemoryWork, clock: Clock) -> None:
        self._work = work
        self._clock = clock

    async def look(self, most: int, running_max: int) -> Found:
        """See `Sweeps.look`."""
        now, jobs = self._clock.now(), self._work.jobs
        waiting = {
            job_id: row.step.due_at
            for job_id, row in jobs.items()
            if row.step.state is State.DUE and row.step.due_at is not None
        }
        timers = self._work.timers
        later = [at for at in (*waiting.values(), *timers.values()) if at > now]
        return Found(
            due=_over(waiting, now, most),
            results=_over(self._work.results, now, most),
            uploads=_over(self._work.uploads, now, most),
            waits=_over(_of(Timer.WAIT, timers), now, most),
            schedules=_over(_of(Timer.SCHEDULE, timers), now, most),
            pulses=self._pulses()[:running_max],
            next_due_seconds=(min(later) - now).total_seconds() if later else None,
        )

    async def tidy(self, older_than: timedelta) -> None:
        """See `Sweeps.tidy`."""
        before = self._clock.now() - older_than
        running = {(pulse.job_id, pulse.lease) for pulse in self._pulses()}
        for job_id, row in list(self._work.leases.items()):
            if row.beat_at < before and (job_id, row.lease) not in running:
                del self._work.leases[job_id]

    async def close(self) -> None:
        """Nothing to let go of."""

    def _pulses(self) -> list[Pulse]:
        running = [row for row in self._work.jobs.values() if row.step.state is State.RUNNING]
        return [
            Pulse(row.job.job_id, row.lease, self._beats(row))
            for row in sorted(running, key=lambda row: row.step.position)
        ]

    def _beats(self, row: JobRow) -> int | None:
        lease = self._work.leases.get(row.job.job_id)
        return lease.beats if lease is not None and lease.lease == row.lease else None


class MemoryBeats:
    """Heartbeats in tables in memory."""

    def __init__(self, work: MemoryWork, log: Log, clock: Clock) -> None:
        self._leases = work.leases
        self._log = log
        self._clock = clock

    async def beat(
        self, worker: str, held: Sequence[Held], ended: Sequence[UUID]
    ) -> Sequence[UUID]:
        """See `Beats.beat`."""
        now = self._clock.now()
        for each in held:
            row = self._leases.get(each.job_id)
            if row is None:
                self._leases[each.job_id] = LeaseRow(each.lease, worker, 1, now)
            elif row.lease <= each.lease:
                self._leases[each.job_id] = LeaseRow(each.lease, worker, row.beats + 1, now)
        for job_id in ended:
            row = self._leases.get(job_id)
            if row is not None and row.worker == worker:
                del self._leases[job_id]
        return [each.job_id for each in held if await self._has_moved_on(each)]

    async def _has_moved_on(self, held: Held) -> bool:
        return bool(await self._log.read_stream(held.job_id, after_version=held.version))


def _over(times: Mapping[UUID, datetime], now: datetime, most: int) -> list[UUID]:
    """Those whose time has come, the earliest first."""
    over = [job_id for job_id, moment in times.items() if moment <= now]
    return sorted(over, key=lambda job_id: times[job_id])[:most]


def _of(timer: Timer, timers: Mapping[TimerKey, datetime]) -> dict[UUID, datetime]:
    return {subject_id: at for (kind, subject_id), at in timers.items() if kind is timer}
