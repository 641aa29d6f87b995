"""The clock over a log and tables in memory, with time moved by hand: silence through outages."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from events.domain.job import Job
from events.store.append import LogUnavailable
from events.store.memory import MemoryLog
from events.store.repository import Repository
from events.store.scheduled_jobs import ScheduledJobs
from events.store.sealing import Sealer
from infrastructure.blobs.memory import MemoryBlobStore
from infrastructure.settings import SealingSettings
from processors.changes import Changes, JobRow, State, Step, WaitingJob
from processors.clock_service import ClockService
from processors.lease import Held
from processors.settings import ClockSettings
from processors.sweeps import Found
from processors.work_memory import MemoryBeats, MemorySweeps, MemoryWork
from tests.fixtures.events import NOON, origin, submitted_job
from tests.fixtures.work import ManualClock, OneLead

SEALING = SealingSettings(sealing_key="only-for-tests-0123456789abcdef0123")  # type: ignore[arg-type]
LEASE, RECONNECT = 12.0, 2.0


class Database:
    """The log and the tables, which may be away for reads, or for appends alone."""

    def __init__(self, clock: ManualClock) -> None:
        self.log = MemoryLog(clock)
        self.work = MemoryWork()
        self.is_away = False
        self.refuses_appends = False
        self._sweeps = MemorySweeps(self.work, clock)

    async def append(self, append: Any) -> list[int]:
        if self.refuses_appends:
            raise LogUnavailable
        return await self.log.append(append)

    async def look(self, most: int, running_max: int) -> Found:
        if self.is_away:
            raise OSError("away")
        return await self._sweeps.look(most, running_max)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    async def tidy(self, older_than: timedelta) -> None:
        await self._sweeps.tidy(older_than)

    async def close(self) -> None:
        await self._sweeps.close()


class Scene:
    def __init__(self) -> None:
        self.clock, self.lead = ManualClock(), OneLead()
        self.database = Database(self.clock)
        self.repository = Repository(self.database, self.database)
        self.service = ClockService(
            self.lead,
            self.database,
            self.repository,
            MemoryBlobStore(clock=self.clock),
            ClockSettings(lease_seconds=LEASE, worker_reconnect_seconds=RECONNECT),
            schedules=ScheduledJobs(self.repository, self.database, Sealer(SEALING)),
            clock=self.clock,
        )
        self._beats = MemoryBeats(self.database.work, self.database.log, self.clock)

    async def running(self) -> Job:
        """A job that a worker has claimed."""
        job = submitted_job()
        job.start_attempt("worker:1", "L0", origin())
        await self.repository.save(job)
        changes = Changes()
        waiting = WaitingJob(job.id, "acme", "default", 0, "no-op", 60.0)
        step = Step(State.RUNNING, 2, 2, NOON, lease=1, worker="worker:1")
        changes.enter(JobRow(waiting, step, place=1, lease=1, is_first=True))
        await self.database.work.persist(changes, 0, 2)
        return job

    async def beat(self, job: Job) -> None:
        await self._beats.beat("worker:1", [Held(job.id, 1, job.version, lambda loss: None)], [])

    async def run(self, seconds: int) -> int | None:
        """Run for so long; returns after how many seconds an attempt was expired."""
        for second in range(seconds):
            try:
                counts = await self.service.run_once()
            except (OSError, LogUnavailable):
                counts = {}
            if counts.get("expired"):
                return second
            self.clock.move(1.0)
        return None


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    await made.service.stop()


async def test_silence_watched_before_an_outage_counts_after_it(scene: Scene) -> None:
    await scene.running()
    await scene.run(9)

    scene.database.is_away = True
    assert await scene.run(100) is None
    scene.database.is_away = False

    assert await scene.run(20) in {4, 5}


async def test_a_worker_that_is_heard_after_an_outage_keeps_its_job(scene: Scene) -> None:
    job = await scene.running()
    await scene.run(12)
    scene.database.is_away = True
    await scene.run(100)
    scene.database.is_away = False

    assert await scene.run(2) is None
    await scene.beat(job)

    assert await scene.run(11) is None


async def test_what_an_outage_kept_from_being_ended_stays_silent(scene: Scene) -> None:
    await scene.running()

    scene.database.refuses_appends = True
    assert await scene.run(20) is None
    scene.database.refuses_appends = False

    assert await scene.run(20) in {1, 2, 3}


async def test_a_lead_that_is_lost_and_taken_again_is_an_outage(scene: Scene) -> None:
    await scene.running()
    await scene.run(12)

    scene.lead.held = False
    assert await scene.run(100) is None
    scene.lead.held = True

    assert await scene.run(20) in {2, 3}


async def test_a_lead_that_went_with_its_connection_is_taken_again_at_once(scene: Scene) -> None:
    await scene.running()
    await scene.run(12)

    scene.lead.has_broken = True

    assert await scene.run(20) == RECONNECT


def test_a_clock_must_look_several_times_in_a_lease() -> None:
    with pytest.raises(ValueError, match="SWEEP_SECONDS"):
        ClockSettings(lease_seconds=12.0, sweep_seconds=6.0)
