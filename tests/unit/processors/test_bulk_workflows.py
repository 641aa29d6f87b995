"""Bulk operations that come upon jobs of workflows, with the manager of these on the same log."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from events.contracts.bulk import BulkAction, BulkProgressed, BulkStatus
from events.contracts.values import JobStatus
from events.contracts.workflow import StepStatus, WorkflowStatus
from events.domain.bulk import BulkOperation
from events.domain.errors import JobOfWorkflow
from events.domain.job import Job
from events.domain.workflow import Workflow
from events.store.codec import Codec
from processors.bulk.memory import MemoryBulkIndex
from processors.bulk.service import BulkService
from processors.settings import BulkSettings
from processors.work_memory import MemoryWork
from tests.factories.workflows import step
from tests.fixtures.bulk import fold_work, jobs_in, requested, statuses
from tests.fixtures.events import origin
from tests.fixtures.work import OneLead
from tests.fixtures.workflows import WorkflowShop

RUNS_MAX = 20


class Scene:
    """A workflow with two jobs of a step that wait for workers, and one step after it."""

    def __init__(self) -> None:
        self.shop = WorkflowShop()
        self.manager = self.shop.manager()
        self.work = MemoryWork()
        self.rings: list[str] = []
        self.service = BulkService(
            OneLead(),
            MemoryBulkIndex(self.shop.log, self.work),
            self.shop.repository,
            self.rings.append,
            BulkSettings(_env_file=None),
            clock=self.shop.clock,
        )

    async def begin(self) -> None:
        await self.shop.offer()
        self.workflow = await self.shop.submit(
            step("split"), step("each", for_each="split"), step("after", "each")
        )
        await self.shop.settle(self.manager)
        (split,) = await self.shop.jobs(self.workflow, "split")
        await self.shop.finish(split, "1.png", "2.png")
        await self.shop.settle(self.manager)
        self.jobs = [job.id for job in await self.shop.jobs(self.workflow, "each")]

    async def claim(self, job_id: UUID) -> None:
        """A worker takes it and goes on with it."""
        await self.shop.repository.change(
            Job, job_id, lambda job: job.start_attempt("worker:1", "L1", origin())
        )

    async def fail(self) -> None:
        for job in await self.shop.jobs(self.workflow, "each"):
            await self.shop.finish(job, fails=True)

    async def cancel_singly(self) -> None:
        for job_id in self.jobs:
            await self.shop.repository.change(Job, job_id, lambda job: job.cancel(origin()))

    async def cancel_in_bulk(self) -> None:
        bulk = await self.bulk(BulkAction.CANCEL)
        assert (bulk.matched, bulk.changed, bulk.skipped) == (2, 2, 0)
        assert sorted(self.rings) == sorted(f"cancel.{job_id}" for job_id in self.jobs)

    async def bulk(self, action: BulkAction, **wanted: Any) -> BulkOperation:
        """An operation that has run to its end."""
        bulk_id = await requested(self.shop.repository, action, **wanted)
        for _ in range(RUNS_MAX):
            await fold_work(self.shop.log, self.work)
            self.shop.clock.move(10)
            await self.service.run_once()
            bulk = await self.shop.repository.load(BulkOperation, bulk_id)
            if bulk.status is not BulkStatus.RUNNING:
                return bulk
        raise AssertionError("it does not end")

    async def facts(self, aggregate_id: UUID) -> list[Any]:
        rows = await self.shop.log.read_stream(aggregate_id)
        return [Codec().decode_row(row).fact for row in rows]


@pytest.fixture
async def scene() -> Scene:
    made = Scene()
    await made.begin()
    return made


@pytest.mark.parametrize("cancel", [Scene.cancel_singly, Scene.cancel_in_bulk])
async def test_a_job_that_is_cancelled_in_bulk_ends_its_step_as_one_that_is_cancelled_alone(
    scene: Scene, cancel: Callable[[Scene], Awaitable[None]]
) -> None:
    await scene.claim(scene.jobs[0])
    await cancel(scene)
    await scene.shop.settle(scene.manager)

    workflow = await scene.shop.load(scene.workflow)
    assert workflow.status is WorkflowStatus.FAILED
    assert {name: each.status for name, each in workflow.steps.items()} == {
        "split": StepStatus.SUCCEEDED,
        "each": StepStatus.FAILED,
        "after": StepStatus.SKIPPED,
    }
    assert workflow.steps["each"].ended == dict.fromkeys(scene.jobs, "cancelled")
    for job_id in scene.jobs:
        topics = [fact.TOPIC for fact in await scene.facts(job_id)]
        assert topics.count("magictoolbox.job.cancelled") == 1
        assert topics[-1] == "magictoolbox.job.cancelled"


@pytest.mark.parametrize(
    ("end", "status"),
    [(Scene.fail, JobStatus.FAILED), (Scene.cancel_in_bulk, JobStatus.CANCELLED)],
)
async def test_a_job_of_a_workflow_is_refused_alone_skipped_in_bulk_and_run_anew_by_its_workflow(
    scene: Scene, end: Callable[[Scene], Awaitable[None]], status: JobStatus
) -> None:
    await end(scene)
    await scene.shop.settle(scene.manager)
    (alone,) = await jobs_in(scene.shop.repository, status, 1)
    before = {job_id: len(await scene.facts(job_id)) for job_id in scene.jobs}

    bulk = await scene.bulk(BulkAction.RETRY, statuses=(status,))
    await scene.shop.settle(scene.manager)

    assert (bulk.matched, bulk.changed, bulk.skipped) == (1, 1, 2)
    (progress,) = [fact for fact in await scene.facts(bulk.id) if isinstance(fact, BulkProgressed)]
    assert (progress.changed, progress.skipped) == (1, 2)
    assert await statuses(scene.shop.repository, [alone]) == [JobStatus.QUEUED]
    for job_id in scene.jobs:
        assert len(await scene.facts(job_id)) == before[job_id], "it was left alone"
        job = await scene.shop.repository.load(Job, job_id)
        with pytest.raises(JobOfWorkflow):
            job.reopen(origin())
    assert (await scene.shop.load(scene.workflow)).status is WorkflowStatus.FAILED
    await scene.shop.repository.change(
        Workflow, scene.workflow.id, lambda it: it.reopen(None, origin())
    )
    await scene.shop.settle(scene.manager)
    anew = [job.id for job in await scene.shop.jobs(scene.workflow, "each")]
    assert set(anew).isdisjoint(scene.jobs)
    assert await statuses(scene.shop.repository, anew) == [JobStatus.QUEUED] * 2
