"""How a worker keeps its leases alive."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from events.domain.job import Job
from events.store.memory import MemoryLog
from events.store.repository import Repository
from processors.lease import Held, Leases, Loss
from processors.settings import LeaseSettings
from tests.fixtures.events import origin, submitted_job

BEAT = 0.01


class Beats:
    """Heartbeats that a test listens to, and can break."""

    def __init__(self) -> None:
        self.heard: list[tuple[set[UUID], set[UUID]]] = []
        self.moved_on: list[UUID] = []
        self.errors: list[Exception] = []
        self.cut = asyncio.Event()
        self._next = asyncio.Event()

    async def beat(self, worker: str, held: Sequence[Held], ended: Sequence[UUID]) -> list[UUID]:
        self._next.set()
        if self.errors:
            raise self.errors.pop(0)
        self.heard.append(({each.job_id for each in held}, set(ended)))
        return self.moved_on

    async def next(self) -> None:
        self._next.clear()
        async with asyncio.timeout(30):
            await self._next.wait()


class Scene:
    def __init__(self, beat_seconds: float = BEAT) -> None:
        log = MemoryLog()
        self.repository = Repository(log, log)
        self.beats = Beats()
        self.leases = Leases("w1", self.beats, self.repository, beat_seconds)
        self.losses: list[Loss] = []

    async def running(self) -> Job:
        job = submitted_job()
        job.start_attempt("w1", "L0", origin())
        await self.repository.save(job)
        return job

    def hold(self, job: Job) -> Held:
        return self.leases.hold(job.id, job.lease, job.version, self.losses.append)

    async def happens(self, job: Job, decide: Callable[[Job], object]) -> None:
        await self.repository.change(Job, job.id, decide)
        self.beats.moved_on = [job.id]


@asynccontextmanager
async def beating(scene: Scene) -> AsyncIterator[Scene]:
    task = asyncio.create_task(scene.leases.run())
    yield scene
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with beating(Scene()) as made:
        yield made


async def test_all_leases_are_renewed_by_one_beat(scene: Scene) -> None:
    jobs = [await scene.running() for _ in range(3)]
    for job in jobs:
        scene.hold(job)

    await scene.beats.next()

    assert scene.beats.heard[-1] == ({job.id for job in jobs}, set())


async def test_a_lease_that_was_written_is_removed_once(scene: Scene) -> None:
    job = await scene.running()
    held = scene.hold(job)
    await scene.beats.next()

    scene.leases.let_go(held)
    await scene.beats.next()

    assert scene.beats.heard[-1] == (set(), {job.id})
    assert job.id not in scene.leases


async def test_a_worker_with_nothing_to_keep_is_silent(scene: Scene) -> None:
    scene.leases.let_go(scene.hold(await scene.running()))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10 * BEAT):
            await scene.beats.next()


@pytest.mark.parametrize("error", [OSError("away"), ValueError("a mistake")])
async def test_beating_goes_on_after_a_failure(scene: Scene, error: Exception) -> None:
    scene.hold(await scene.running())
    scene.beats.errors = [error, error]

    for _ in range(3):
        await scene.beats.next()

    assert scene.beats.errors == []


async def test_a_connection_that_breaks_brings_the_next_beat_forward() -> None:
    patient = Scene(beat_seconds=3_600.0)
    patient.hold(await patient.running())
    async with beating(patient):
        await patient.beats.next()

        patient.beats.cut.set()
        await patient.beats.next()

    assert len(patient.beats.heard) == 2


async def test_a_cancelled_job_is_told_to_its_attempt(scene: Scene) -> None:
    job = await scene.running()
    scene.hold(job)
    await scene.happens(job, lambda job: job.cancel(origin()))

    await scene.beats.next()
    await scene.beats.next()

    assert scene.losses == [Loss.CANCELLED]


async def test_a_superseded_lease_is_told_to_its_attempt(scene: Scene) -> None:
    job = await scene.running()
    scene.hold(job)
    await scene.happens(job, lambda job: job.expire_attempt(1, origin()))

    await scene.beats.next()
    await scene.beats.next()

    assert scene.losses == [Loss.SUPERSEDED]


async def test_what_changes_nothing_is_noticed_only_once(scene: Scene) -> None:
    job = await scene.running()
    held = scene.hold(job)
    await scene.happens(job, lambda job: job.refuse_outcome(9, "failed", "w0", origin()))

    await scene.beats.next()
    await scene.beats.next()

    assert (scene.losses, held.version) == ([], 3)


async def test_a_newer_lease_of_the_same_job_is_kept_when_the_older_ends(scene: Scene) -> None:
    job = await scene.running()
    older = scene.hold(job)
    await scene.beats.next()
    scene.leases.let_go(older)

    scene.hold(job)
    scene.leases.let_go(older)
    await scene.beats.next()

    assert job.id in scene.leases
    assert scene.beats.heard[-1] == ({job.id}, set())


def test_a_lease_must_last_for_several_beats() -> None:
    with pytest.raises(ValueError, match="LEASE_SECONDS"):
        LeaseSettings(beat_seconds=5, lease_seconds=12)
