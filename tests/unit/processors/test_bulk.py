"""Bulk operations over a log in memory: every job once, whatever fails in between."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.contracts.bulk import BulkAction, BulkStatus
from events.contracts.reservation import reservation_id
from events.contracts.values import JobStatus
from events.domain.bulk import BulkOperation
from events.domain.job import Job
from events.domain.reservation import Hold, Reservation, Scope, Until
from events.store.append import Append, LogUnavailable, OutcomeUnknown
from events.store.memory import MemoryLog
from events.store.repository import Repository
from infrastructure.ids import uuid7
from processors.bulk.memory import MemoryBulkIndex
from processors.bulk.service import GROUP_MAX, BulkService
from processors.settings import BulkSettings
from processors.work_memory import MemoryWork
from tests.fixtures.bulk import fail, fold_work, jobs_in, requested, statuses
from tests.fixtures.events import origin
from tests.fixtures.work import ManualClock, OneLead

RUNS_MAX = 200


class FailingLog(MemoryLog):
    """A log whose connection breaks when it is told to: before an append, or after it."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks: list[str] = []

    async def append(self, append: Append) -> list[int]:
        fate = self.breaks.pop(0) if self.breaks else ""
        if fate == "before":
            raise LogUnavailable
        positions = await super().append(append)
        if fate == "after":
            raise OutcomeUnknown
        return positions


class Scene:
    def __init__(self) -> None:
        self.log = FailingLog()
        self.work = MemoryWork()
        self.repository = Repository(self.log, self.log)
        self.clock = ManualClock()
        self.lead = OneLead()
        self.rings: list[str] = []
        self.boot()

    def boot(self) -> None:
        """A service that knows nothing of what went before."""
        self.service = BulkService(
            self.lead,
            MemoryBulkIndex(self.log, self.work),
            self.repository,
            self.rings.append,
            BulkSettings(_env_file=None),
            clock=self.clock,
        )

    async def run(self) -> None:
        """One run, as late as it likes."""
        await fold_work(self.log, self.work)
        self.clock.move(10)
        await self.service.run_once()

    async def run_to_end(self, bulk_id: UUID) -> BulkOperation:
        """Run until it has ended; a run that fails is followed by another process."""
        for _ in range(RUNS_MAX):
            try:
                await self.run()
            except LogUnavailable:
                self.boot()
            bulk = await self.repository.load(BulkOperation, bulk_id)
            if bulk.status is not BulkStatus.RUNNING:
                return bulk
        raise AssertionError("it does not end")

    async def topics(self, job_id: UUID) -> list[str]:
        return [row.topic.rpartition(".")[2] for row in await self.log.read_stream(job_id)]


@pytest.fixture
async def scene() -> Scene:
    return Scene()


def counts(bulk: BulkOperation) -> tuple[int, int, int]:
    return bulk.matched, bulk.changed, bulk.skipped


async def test_all_that_is_meant_is_cancelled_and_nothing_else(scene: Scene) -> None:
    queued = await jobs_in(scene.repository, JobStatus.QUEUED, 3, tool="checksum")
    running = await jobs_in(scene.repository, JobStatus.RUNNING, 2, tool="checksum")
    others = await jobs_in(scene.repository, JobStatus.QUEUED, 2)
    done = await jobs_in(scene.repository, JobStatus.SUCCEEDED, 2, tool="checksum")
    bulk_id = await requested(scene.repository, BulkAction.CANCEL, tool="checksum")

    bulk = await scene.run_to_end(bulk_id)

    assert counts(bulk) == (5, 5, 0)
    assert await statuses(scene.repository, queued + running) == [JobStatus.CANCELLED] * 5
    assert await statuses(scene.repository, others) == [JobStatus.QUEUED] * 2
    assert await statuses(scene.repository, done) == [JobStatus.SUCCEEDED] * 2
    assert set(scene.rings) == {f"cancel.{job_id}" for job_id in queued + running}


async def test_dead_letters_are_tried_again_but_not_what_was_called_off(scene: Scene) -> None:
    failed = await jobs_in(scene.repository, JobStatus.FAILED, 3)
    cancelled = await jobs_in(scene.repository, JobStatus.CANCELLED, 2)
    bulk_id = await requested(scene.repository, BulkAction.RETRY, error_code="CORRUPT_FILE")

    bulk = await scene.run_to_end(bulk_id)

    assert counts(bulk) == (3, 3, 0)
    assert await statuses(scene.repository, failed) == [JobStatus.QUEUED] * 3
    assert await statuses(scene.repository, cancelled) == [JobStatus.CANCELLED] * 2


@pytest.mark.parametrize("dry_run", [True, False])
async def test_dead_letters_of_workflows_are_left_to_these_and_counted(
    scene: Scene, dry_run: bool
) -> None:
    (alone,) = await jobs_in(scene.repository, JobStatus.FAILED, 1)
    steps = await jobs_in(scene.repository, JobStatus.FAILED, 2, workflow=uuid7(), step="a")
    bulk_id = await requested(scene.repository, BulkAction.RETRY, dry_run=dry_run)

    bulk = await scene.run_to_end(bulk_id)

    assert counts(bulk) == (1, 0 if dry_run else 1, 2)
    assert await statuses(scene.repository, steps) == [JobStatus.FAILED] * 2
    assert (await statuses(scene.repository, [alone]) == [JobStatus.FAILED]) == dry_run


async def test_every_fact_names_who_asked_and_the_operation_as_its_cause(scene: Scene) -> None:
    (job_id,) = await jobs_in(scene.repository, JobStatus.FAILED, 1)
    bulk_id = await requested(scene.repository, BulkAction.RETRY)

    await scene.run_to_end(bulk_id)

    fact = scene.repository._codec.decode_row((await scene.log.read_stream(job_id))[-1]).fact
    assert (fact.actor, fact.causation_id) == ("user:1", f"{bulk_id}/1")


async def test_a_dry_run_counts_and_leaves_two_events(scene: Scene) -> None:
    await jobs_in(scene.repository, JobStatus.QUEUED, GROUP_MAX + 20)
    bulk_id = await requested(scene.repository, BulkAction.CANCEL, dry_run=True)

    bulk = await scene.run_to_end(bulk_id)

    assert counts(bulk) == (GROUP_MAX + 20, 0, 0)
    assert len(await scene.log.read_stream(bulk_id)) == 2


async def test_nothing_is_cancelled_before_the_tables_know_of_the_request(scene: Scene) -> None:
    (job_id,) = await jobs_in(scene.repository, JobStatus.QUEUED, 1)
    await requested(scene.repository, BulkAction.CANCEL)

    scene.clock.move(10)
    await scene.service.run_once()

    assert await statuses(scene.repository, [job_id]) == [JobStatus.QUEUED]


async def test_a_job_that_fails_again_is_not_tried_again(scene: Scene) -> None:
    jobs = await jobs_in(scene.repository, JobStatus.FAILED, GROUP_MAX + 1)
    bulk_id = await requested(scene.repository, BulkAction.RETRY)
    await scene.run()
    for job_id in jobs:
        job = await scene.repository.load(Job, job_id)
        if job.status is JobStatus.QUEUED:
            fail(job)
            await scene.repository.save(job)
    scene.boot()

    bulk = await scene.run_to_end(bulk_id)

    assert bulk.changed == GROUP_MAX + 1
    for job_id in jobs:
        assert (await scene.topics(job_id)).count("reopened") == 1


async def test_an_operation_that_is_called_off_leaves_the_rest_alone(scene: Scene) -> None:
    jobs = await jobs_in(scene.repository, JobStatus.QUEUED, GROUP_MAX + 10)
    bulk_id = await requested(scene.repository, BulkAction.CANCEL)
    await scene.run()
    await scene.repository.change(BulkOperation, bulk_id, lambda bulk: bulk.cancel(origin()))

    for _ in range(3):
        await scene.run()

    bulk = await scene.repository.load(BulkOperation, bulk_id)
    assert (bulk.status, bulk.changed) == (BulkStatus.CANCELLED, GROUP_MAX)
    assert (await statuses(scene.repository, jobs)).count(JobStatus.QUEUED) == 10


async def test_a_small_operation_does_not_wait_for_a_large_one(scene: Scene) -> None:
    await jobs_in(scene.repository, JobStatus.QUEUED, 4 * GROUP_MAX, tool="checksum")
    await jobs_in(scene.repository, JobStatus.QUEUED, 1)
    large = await requested(scene.repository, BulkAction.CANCEL, tool="checksum")
    small = await requested(scene.repository, BulkAction.CANCEL, tool="no-op")

    await scene.run_to_end(small)

    assert (await scene.repository.load(BulkOperation, large)).status is BulkStatus.RUNNING


async def test_operations_are_not_faster_than_they_may_be(scene: Scene) -> None:
    await jobs_in(scene.repository, JobStatus.QUEUED, 3 * GROUP_MAX)
    bulk_id = await requested(scene.repository, BulkAction.CANCEL)
    await fold_work(scene.log, scene.work)
    scene.clock.move(10)

    for _ in range(5):
        await scene.service.run_once()
    early = (await scene.repository.load(BulkOperation, bulk_id)).changed
    scene.clock.move(GROUP_MAX / 500)
    await scene.service.run_once()

    assert early == GROUP_MAX
    assert (await scene.repository.load(BulkOperation, bulk_id)).changed == 2 * GROUP_MAX


async def test_a_standby_does_nothing(scene: Scene) -> None:
    scene.lead.held = False
    jobs = await jobs_in(scene.repository, JobStatus.QUEUED, 1)
    await requested(scene.repository, BulkAction.CANCEL)

    await scene.run()

    assert await statuses(scene.repository, jobs) == [JobStatus.QUEUED]


async def test_of_jobs_with_one_key_only_one_is_tried_again(scene: Scene) -> None:
    key = reservation_id("acme", "tool", "no-op", "token")
    first, second = await jobs_in(scene.repository, JobStatus.FAILED, 2, reservation=key)
    await scene.repository.save(
        Reservation.reserve(key, Scope.TOOL, Hold(first, Until.FINISHED), origin())
    )
    bulk_id = await requested(scene.repository, BulkAction.RETRY)

    bulk = await scene.run_to_end(bulk_id)

    assert counts(bulk) == (1, 1, 1)
    assert await statuses(scene.repository, [first, second]) == [
        JobStatus.QUEUED,
        JobStatus.FAILED,
    ]


class BusyRepository(Repository):
    """Somebody else changes a job just before it is saved, as often as it is told."""

    def __init__(self, log: MemoryLog, times: int) -> None:
        super().__init__(log, log)
        self._plain = Repository(log, log)
        self._times = times

    async def save(self, *aggregates: Any, **options: Any) -> Any:
        jobs = [each for each in aggregates if isinstance(each, Job)]
        if jobs and self._times:
            self._times -= 1
            other = await self._plain.load(Job, jobs[0].id)
            other.refuse_outcome(1, "failed", "worker:9", origin())
            await self._plain.save(other)
        return await super().save(*aggregates, **options)


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_jobs_that_change_meanwhile_are_decided_anew(scene: Scene, times: int) -> None:
    scene.repository = BusyRepository(scene.log, times)
    jobs = await jobs_in(Repository(scene.log, scene.log), JobStatus.QUEUED, 5)
    bulk_id = await requested(scene.repository, BulkAction.CANCEL)
    scene.boot()

    bulk = await scene.run_to_end(bulk_id)

    assert counts(bulk) == (5, 5, 0)
    assert await statuses(scene.repository, jobs) == [JobStatus.CANCELLED] * 5


@given(
    breaks=st.lists(st.sampled_from(["", "", "before", "after"]), max_size=12),
    ended=st.integers(0, 3),
)
@settings(max_examples=30, deadline=None)
def test_whatever_breaks_every_job_is_dealt_with_once_and_counted_once(
    breaks: Sequence[str], ended: int
) -> None:
    asyncio.run(_broken(breaks, ended))


async def _broken(breaks: Sequence[str], ended: int) -> None:
    scene = Scene()
    queued = await jobs_in(scene.repository, JobStatus.QUEUED, 2 * GROUP_MAX + 7)
    await fold_work(scene.log, scene.work)
    bulk_id = await requested(scene.repository, BulkAction.CANCEL)
    gone = queued[:ended]
    for job_id in gone:
        await scene.repository.change(Job, job_id, lambda job: job.cancel(origin()))
    scene.log.breaks = list(breaks)

    bulk = await scene.run_to_end(bulk_id)

    for job_id in queued:
        assert (await scene.topics(job_id)).count("cancelled") == 1
    assert bulk.changed == bulk.matched == len(queued) - len(gone)
