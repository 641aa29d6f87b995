"""Workflows on real servers: run to their end, cancelled, and through deaths of their manager."""

import asyncio
import json
from collections import Counter
from typing import Any
from uuid import UUID

from events.contracts.values import FileRef, JobStatus, SealedText
from events.contracts.workflow import OnFailure, WorkflowStatus
from events.domain.job import Job
from events.domain.workflow import Workflow, WorkflowRequest
from events.domain.workflow_plan import StepInput, StepPlan
from infrastructure.blobs.base import new_blob_key
from infrastructure.ids import uuid7
from tests.factories.tools import Gate
from tests.fixtures.events import origin
from tests.integration.processors.floor import Floor

STARTED = """
SELECT convert_from(state, 'UTF8')::jsonb ->> 'step' AS step, count(*) AS starts
  FROM event_store.stored_events WHERE topic = 'magictoolbox.workflow.step_started' GROUP BY 1
"""
SUBMITTED = """
SELECT count(*) AS submitted, count(DISTINCT originator_id) AS jobs
  FROM event_store.stored_events WHERE topic = 'magictoolbox.job.submitted'
"""


def plan(name: str, tool: str = "copier", *after: str, **changes: Any) -> StepPlan:
    """A step; its options are sealed when it is submitted."""
    takes = [StepInput(step=each) for each in changes.pop("takes", ())]
    options = SealedText(json.dumps(changes.pop("options", {})))
    return StepPlan(name, tool, options, changes.pop("files", ()) or takes, after, **changes)


async def submit(floor: Floor, *steps: StepPlan, content: bytes | None = None) -> Workflow:
    """A workflow that was accepted; its first step gets a file with this content."""
    workflow_id = uuid7()
    seal, key = floor.sealer.new_key(workflow_id, "acme", "user:1")
    given: list[StepInput] = []
    if content is not None:
        async with await floor.blobs.write(new_blob_key("acme")) as writer:
            await writer.write(content)
            blob = await writer.commit()
        name = seal.seal("name", "in.txt")
        given = [StepInput(FileRef(name, "text/plain", len(content), blob.sha256, blob.key))]
    sealed = [
        StepPlan(
            *(step.id, step.tool, seal.seal(f"options:{step.id}", step.options)),
            *([*(given if step is steps[0] else []), *step.inputs], step.after, step.for_each),
            *(step.join, step.quorum),
        )
        for step in steps
    ]
    request = WorkflowRequest("user:1", sealed, on_failure=OnFailure.CONTINUE)
    workflow = Workflow.submit(workflow_id, request, origin())
    await floor.repository.save(workflow, keys=[key])
    return workflow


async def load(floor: Floor, workflow: Workflow) -> Workflow:
    return await floor.repository.load(Workflow, workflow.id)


async def until(floor: Floor, workflow: Workflow, status: WorkflowStatus) -> Workflow:
    """Wait for the workflow's end."""

    async def reached() -> bool:
        return (await load(floor, workflow)).status is status

    await floor.until(reached, f"the workflow never {status}", 40.0)
    return await load(floor, workflow)


async def until_started(floor: Floor, workflow: Workflow, step: str) -> list[UUID]:
    """Wait until a step has jobs."""

    async def started() -> bool:
        return bool((await load(floor, workflow)).steps[step].jobs)

    await floor.until(started, f"{step} never started", 40.0)
    return (await load(floor, workflow)).steps[step].jobs


async def once_each(floor: Floor) -> None:
    """Every step was started once, and every job submitted once."""
    assert {row["starts"] for row in await floor.rows(STARTED)} == {1}
    (row,) = await floor.rows(SUBMITTED)
    assert row["submitted"] == row["jobs"]


async def test_files_flow_through_a_chain_a_fan_out_and_a_fan_in(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.clock()
    await floor.worker()

    workflow = await submit(
        floor,
        plan("split", options={"copies": 3}),
        plan("each", for_each="split"),
        plan("join", takes=["each"]),
        content=b"words",
    )
    ended = await until(floor, workflow, WorkflowStatus.SUCCEEDED)

    (job_id,) = ended.steps["join"].jobs
    job = await floor.repository.load(Job, job_id)
    assert len(ended.steps["each"].jobs) == len(job.inputs) == len(job.outputs) == 3
    assert {file.sha256 for file in job.outputs} == {file.sha256 for file in job.inputs}
    await once_each(floor)


async def test_a_manager_that_is_cut_off_in_the_middle_is_followed_by_another(
    floor: Floor, gate: type[Gate]
) -> None:
    await floor.dispatcher()
    await floor.worker()
    first = await floor.clock()
    workflow = await submit(
        floor,
        plan("wait", "gate", options={"makes_output": True}),
        plan("next", takes=["wait"]),
        plan("last", "no-op", "next"),
    )
    (waiting,) = await until_started(floor, workflow, "wait")
    await asyncio.wait_for(gate.reached.wait(), 20)
    await first.cut()
    gate.opened.set()

    async def done() -> bool:
        return (await floor.repository.load(Job, waiting)).status is JobStatus.SUCCEEDED

    await floor.until(done, "the job never ended")
    assert (await load(floor, workflow)).steps["next"].jobs == []
    await floor.clock()

    await until(floor, workflow, WorkflowStatus.SUCCEEDED)
    await once_each(floor)


async def test_two_managers_at_once_start_every_step_once(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.worker()
    clocks = [await floor.clock(), await floor.clock()]
    both = [service for each in clocks for service in each.running.services]  # type: ignore[union-attr]
    managers = [loop._service for loop in both if loop.name == "workflows"]  # type: ignore[attr-defined]
    for manager in managers:
        # The lock is not a fence: each believes that it leads.
        manager._lead.hold = _always
    workflows = [
        await submit(
            floor,
            plan("a", options={"copies": 2}),
            plan("b", for_each="a"),
            plan("c", takes=["b"]),
            content=b"words",
        )
        for _ in range(5)
    ]

    for workflow in workflows:
        await until(floor, workflow, WorkflowStatus.SUCCEEDED)
    assert len(managers) == 2
    rows = await floor.rows(STARTED)
    assert Counter({row["step"]: row["starts"] for row in rows}) == {"a": 5, "b": 5, "c": 5}
    (row,) = await floor.rows(SUBMITTED)
    assert row["submitted"] == row["jobs"] == 20


async def test_cancelling_a_workflow_stops_its_jobs(floor: Floor, gate: type[Gate]) -> None:
    await floor.dispatcher()
    await floor.worker()
    await floor.clock()
    workflow = await submit(floor, plan("wait", "gate"), plan("next", "no-op", "wait"))
    (waiting,) = await until_started(floor, workflow, "wait")
    await asyncio.wait_for(gate.reached.wait(), 20)

    await floor.repository.change(Workflow, workflow.id, lambda it: it.cancel(origin()))

    async def stopped() -> bool:
        job = await floor.repository.load(Job, waiting)
        return job.status is JobStatus.CANCELLED and gate.ends == 1

    await floor.until(stopped, "the job was never called off")
    assert (await load(floor, workflow)).steps["next"].jobs == []


async def _always() -> bool:
    return True
