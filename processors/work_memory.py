"""The tables of work in memory: a twin of those in PostgreSQL, held to the same suite of tests.

For simulations, and for tests of the dispatcher that need no database.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from events.store.log import Log
from infrastructure.clock import Clock
from processors.changes import (
    Changes,
    JobRow,
    PausedQueue,
    SetLimit,
    State,
    Timer,
    TimerKey,
)
from processors.lanes import LaneKey, Runnable
from processors.lease import Held
from processors.silence import Pulse
from processors.sweeps import Found
from processors.work import CheckpointMoved, Front, Standing

Value = TypeVar("Value")


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
        self.limits: dict[UUID, SetLimit] = {}
        self.paused: dict[UUID, PausedQueue] = {}

    async def standing(self, front_max: int, lanes_max: int) -> Standing:
        """See `WorkStore.standing`."""
        lanes: dict[LaneKey, list[Runnable]] = {}
        for row in sorted(self._queued(), key=lambda row: row.place):
            lanes.setdefault(row.job.lane, []).append(_runnable(row))
        fronts = [
            Front(lane, len(jobs), jobs[: max(front_max, 1)])
            for lane, jobs in list(lanes.items())[:lanes_max]
        ]
        running = {
            job_id: row.job.lane
            for job_id, row in self.jobs.items()
            if row.step.state is State.RUNNING
        }
        limits, paused = list(self.limits.values()), list(self.paused.values())
        return Standing(self.position, fronts, running, limits, paused)

    async def persist(self, changes: Changes, after: int, position: int) -> None:
        """See `WorkStore.persist`."""
        if self.position != after:
            raise CheckpointMoved(CheckpointMoved.__doc__)
        self.position = position
        for job_id, row in changes.rows.items():
            self.jobs[job_id] = replace(row, is_first=False)
            self.jobs[job_id].move(row.step)
        for job_id, step in changes.steps.items():
            if job_id in self.jobs:
                self.jobs[job_id].move(step)
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
        _replace(self.limits, changes.limits)
        _replace(self.paused, changes.pauses)

    async def find(self, job_ids: Sequence[UUID]) -> Mapping[UUID, JobRow]:
        """See `WorkStore.find`."""
        return {job_id: replace(self.jobs[job_id]) for job_id in job_ids if job_id in self.jobs}

    async def beyond(
        self, lanes: Sequence[tuple[LaneKey, int]], limit: int
    ) -> Sequence[Sequence[Runnable]]:
        """See `WorkStore.beyond`."""
        return [self._waiting(lane, reach)[:limit] for lane, reach in lanes]

    def depths(self) -> Mapping[LaneKey, int]:
        """How many jobs wait in each lane."""
        return Counter(row.job.lane for row in self._queued())

    def _waiting(self, lane: LaneKey, reach: int) -> list[Runnable]:
        queued = [r for r in self._queued() if r.job.lane == lane and r.place > reach]
        return [_runnable(row) for row in sorted(queued, key=lambda row: row.place)]

    def _queued(self) -> Iterator[JobRow]:
        return (row for row in self.jobs.values() if row.step.state is State.QUEUED)


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
        self.cut = asyncio.Event()
        """Nothing ever sets it: there is no connection."""
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


def _runnable(row: JobRow) -> Runnable:
    return Runnable(row.job.job_id, row.step.version, row.place, row.step.since)


def _replace(rows: dict[UUID, Value], changes: Mapping[UUID, Value | None]) -> None:
    for key, row in changes.items():
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row


def _over(times: Mapping[UUID, datetime], now: datetime, most: int) -> list[UUID]:
    """Those whose time has come, the earliest first."""
    over = [job_id for job_id, moment in times.items() if moment <= now]
    return sorted(over, key=lambda job_id: times[job_id])[:most]


def _of(timer: Timer, timers: Mapping[TimerKey, datetime]) -> dict[UUID, datetime]:
    return {subject_id: at for (kind, subject_id), at in timers.items() if kind is timer}
