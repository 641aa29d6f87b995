"""The manager of workflows over a log in memory, with crashes at any append."""

from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from events.contracts import job as jobs
from events.contracts import workflow as facts
from events.contracts.values import JobStatus
from events.contracts.workflow import OnFailure, StepStatus, WorkflowStatus
from events.domain.job import Job
from events.domain.workflow import Workflow
from events.domain.workflow_plan import StepInput
from events.store.codec import Codec
from events.store.repository import LogUnavailable, OutcomeUnknown
from events.store.sealing import secrets_id
from tests.factories.workflows import ANY, at_least, step
from tests.fixtures.events import origin
from tests.fixtures.workflows import WorkflowShop


@pytest.fixture
async def shop() -> WorkflowShop:
    shop = WorkflowShop()
    await shop.offer()
    return shop


async def told(shop: WorkflowShop, kind: type[Any]) -> list[Any]:
    codec = Codec()
    rows = await shop.log.read_after(0)
    return [codec.decode_row(row).fact for row in rows if row.topic == kind.TOPIC]


async def test_the_results_of_one_step_are_the_inputs_of_the_next(shop: WorkflowShop) -> None:
    workflow = await shop.submit(step("a"), step("b", takes=["a"]), files=["in.png"])
    manager = shop.manager()
    await shop.settle(manager)
    (first,) = await shop.jobs(workflow, "a")

    assert await shop.names(first) == ["in.png"]
    assert await shop.jobs(workflow, "b") == []
    await shop.finish(first, "one.png", "two.png")
    await shop.settle(manager)
    (second,) = await shop.jobs(workflow, "b")
    assert await shop.names(second) == ["one.png", "two.png"]
    made = (await shop.repository.load(Job, first.id)).outputs
    assert {file.blob_key for file in second.inputs}.isdisjoint(file.blob_key for file in made)
    await shop.finish(second)
    await shop.settle(manager)
    assert (await shop.load(workflow)).status is WorkflowStatus.SUCCEEDED


async def test_a_job_of_a_step_is_the_clients_own(shop: WorkflowShop) -> None:
    workflow = await shop.submit(step("a", priority=7, queue="bulk"), labels='{"team":"x"}')
    await shop.settle(shop.manager())
    (job,) = await shop.jobs(workflow, "a")
    seal = await shop.keys.seal(job.id)

    assert seal is not None
    assert (job.owner, job.tenant, job.queue, job.priority) == ("user:1", "acme", "bulk", 7)
    assert job.correlation_id == workflow.correlation_id
    assert seal.open("options", job.options) == '{"step":"a"}'
    submitted = (await told(shop, jobs.JobSubmitted))[0]
    assert seal.open("labels", submitted.labels) == '{"team":"x"}'
    assert (submitted.workflow, submitted.step) == (str(workflow.id), "a")


async def test_one_output_may_be_taken_by_its_name(shop: WorkflowShop) -> None:
    takes = StepInput(step="a", output="two.png")  # type: ignore[arg-type]
    plan = step("b")
    plan = type(plan)(plan.id, plan.tool, plan.options, (takes,))
    workflow = await shop.submit(step("a"), plan)
    manager = shop.manager()
    await shop.settle(manager)
    await shop.finish((await shop.jobs(workflow, "a"))[0], "one.png", "two.png")
    await shop.settle(manager)

    (job,) = await shop.jobs(workflow, "b")
    assert await shop.names(job) == ["two.png"]


async def test_a_step_has_one_job_for_each_output(shop: WorkflowShop) -> None:
    workflow = await shop.submit(
        step("split"), step("each", for_each="split"), step("join", takes=["each"])
    )
    manager = shop.manager()
    await shop.settle(manager)
    await shop.finish((await shop.jobs(workflow, "split"))[0], "1.png", "2.png", "3.png")
    await shop.settle(manager)
    each = await shop.jobs(workflow, "each")
    assert [await shop.names(job) for job in each] == [["1.png"], ["2.png"], ["3.png"]]
    for job in reversed(each):
        await shop.finish(job, f"done-{(await shop.names(job))[0]}")
        await shop.settle(manager)

    (join,) = await shop.jobs(workflow, "join")
    assert await shop.names(join) == ["done-1.png", "done-2.png", "done-3.png"]


async def test_a_fan_in_takes_what_has_succeeded(shop: WorkflowShop) -> None:
    workflow = await shop.submit(
        step("a"), step("b"), step("c"), step("join", takes="abc", join=at_least(2))
    )
    manager = shop.manager()
    await shop.settle(manager)
    await shop.finish((await shop.jobs(workflow, "b"))[0], fails=True)
    await shop.finish((await shop.jobs(workflow, "c"))[0], "c.png")
    await shop.settle(manager)
    await shop.finish((await shop.jobs(workflow, "a"))[0], "a.png")
    await shop.settle(manager)

    (join,) = await shop.jobs(workflow, "join")
    assert await shop.names(join) == ["a.png", "c.png"]


@pytest.mark.parametrize(
    ("offer", "made", "code"),
    [
        ({"inputs_min": 3}, ["a.png"], "INVALID_INPUTS"),
        ({"input_formats": ["text/plain"]}, ["a.png"], "UNSUPPORTED_MEDIA_TYPE"),
        ({"available": False}, ["a.png"], "TOOL_UNAVAILABLE"),
    ],
)
async def test_what_the_tool_would_not_take_fails_the_step_with_a_code(
    shop: WorkflowShop, offer: dict[str, Any], made: list[str], code: str
) -> None:
    await shop.offer("picky", **offer)
    plan = step("b", takes=["a"])
    plan = type(plan)(plan.id, "picky", plan.options, plan.inputs)
    workflow = await shop.submit(step("a"), plan)
    manager = shop.manager()
    await shop.settle(manager)
    await shop.finish((await shop.jobs(workflow, "a"))[0], *made)
    await shop.settle(manager)

    loaded = await shop.load(workflow)
    assert (loaded.status, loaded.steps["b"].status) == ("failed", "failed")
    assert [fact.code for fact in await told(shop, facts.StepEnded)] == [None, code]


async def test_a_step_with_which_a_workflow_has_too_many_jobs_fails_and_leaves_no_copy(
    shop: WorkflowShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.domain.workflow.WORKFLOW_JOBS_MAX", 3)
    workflow = await shop.submit(step("split"), step("each", for_each="split"))
    manager = shop.manager()
    await shop.settle(manager)
    await shop.finish((await shop.jobs(workflow, "split"))[0], "1.png", "2.png", "3.png")
    await shop.settle(manager)

    assert [fact.code for fact in await told(shop, facts.StepEnded)] == [None, "WORKFLOW_TOO_LARGE"]
    assert (await shop.load(workflow)).status is WorkflowStatus.FAILED
    assert len(await told(shop, jobs.JobSubmitted)) == 1
    assert await shop.all_blobs() <= await shop.referred_blobs()


async def test_a_file_that_is_gone_fails_the_step_and_leaves_no_copy(shop: WorkflowShop) -> None:
    workflow = await shop.submit(step("a"), files=["1.png", "2.png"])
    missing = workflow.plans["a"].inputs[1].file
    assert missing is not None
    await shop.blobs.delete(missing.blob_key)  # type: ignore[arg-type]
    await shop.settle(shop.manager())

    assert [fact.code for fact in await told(shop, facts.StepEnded)] == ["INPUT_GONE"]
    assert await shop.all_blobs() <= await shop.referred_blobs()


async def test_a_cancelled_workflow_calls_its_jobs_off(shop: WorkflowShop) -> None:
    workflow = await shop.submit(step("a"), step("b"), step("c", "a"))
    manager = shop.manager()
    await shop.settle(manager)
    (done,) = await shop.jobs(workflow, "b")
    await shop.finish(done)
    await shop.repository.change(Workflow, workflow.id, lambda it: it.cancel(origin()))
    await shop.settle(manager)

    (a,), (b,) = await shop.jobs(workflow, "a"), await shop.jobs(workflow, "b")
    assert (a.status, b.status) == (JobStatus.CANCELLED, JobStatus.SUCCEEDED)
    assert shop.called_off == [a.id]
    assert await shop.jobs(workflow, "c") == []


async def test_a_job_that_somebody_calls_off_counts_as_one_that_did_not_succeed(
    shop: WorkflowShop,
) -> None:
    workflow = await shop.submit(
        step("split"), step("each", for_each="split", quorum=at_least(1)), step("c", takes=["each"])
    )
    manager = shop.manager()
    await shop.settle(manager)
    await shop.finish((await shop.jobs(workflow, "split"))[0], "1.png", "2.png")
    await shop.settle(manager)
    called_off, other = await shop.jobs(workflow, "each")
    await shop.repository.change(Job, called_off.id, lambda job: job.cancel(origin()))
    await shop.settle(manager)
    assert (await shop.load(workflow)).steps["each"].ended == {called_off.id: "cancelled"}
    await shop.finish(other, "done.png")
    await shop.settle(manager)

    (join,) = await shop.jobs(workflow, "c")
    assert await shop.names(join) == ["done.png"]


async def test_a_retried_workflow_runs_new_jobs_of_the_steps_that_failed(
    shop: WorkflowShop,
) -> None:
    workflow = await shop.submit(step("a"), step("b", takes=["a"]))
    manager = shop.manager()
    await shop.settle(manager)
    await shop.finish((await shop.jobs(workflow, "a"))[0], "a.png")
    await shop.settle(manager)
    (failed,) = await shop.jobs(workflow, "b")
    await shop.finish(failed, fails=True)
    await shop.settle(manager)
    await shop.repository.change(Workflow, workflow.id, lambda it: it.reopen(None, origin()))
    await shop.settle(manager)

    (again,) = await shop.jobs(workflow, "b")
    assert again.id != failed.id
    assert await shop.names(again) == ["a.png"]
    await shop.finish(again)
    await shop.settle(manager)
    assert (await shop.load(workflow)).status is WorkflowStatus.SUCCEEDED


async def test_a_retry_makes_only_the_jobs_that_failed_and_the_fan_in_gets_all(
    shop: WorkflowShop,
) -> None:
    workflow = await shop.submit(
        step("split"), step("each", for_each="split"), step("join", takes=["each"])
    )
    manager = shop.manager()
    await shop.settle(manager)
    await shop.finish((await shop.jobs(workflow, "split"))[0], "1.png", "2.png", "3.png")
    await shop.settle(manager)
    for number, job in enumerate(await shop.jobs(workflow, "each"), 1):
        await shop.finish(job, f"done-{number}.png", fails=number == 2)
    await shop.settle(manager)
    await shop.repository.change(Workflow, workflow.id, lambda it: it.reopen(None, origin()))
    await shop.settle(manager)

    (again,) = await shop.open_jobs()
    assert await shop.names(again) == ["2.png"]
    await shop.finish(again, "done-2.png")
    await shop.settle(shop.manager())
    (join,) = await shop.open_jobs()
    assert await shop.names(join) == ["done-1.png", "done-2.png", "done-3.png"]
    await shop.finish(join)
    await shop.settle(manager)
    assert (await shop.load(workflow)).status is WorkflowStatus.SUCCEEDED
    assert len(await told(shop, jobs.JobSubmitted)) == 6


async def test_each_job_of_a_step_has_the_secrets_under_a_key_of_its_own(
    shop: WorkflowShop,
) -> None:
    workflow = await shop.submit(
        step("a"), step("b", for_each="a"), secrets='{"password":"hunter2"}'
    )
    manager = shop.manager()
    await shop.settle(manager)
    (a,) = await shop.jobs(workflow, "a")
    await shop.finish(a, "1.png", "2.png")
    await shop.settle(manager)

    jobs = [a, *await shop.jobs(workflow, "b")]
    assert len(jobs) == 3
    for job in jobs:
        seal = await shop.keys.seal(secrets_id(job.id))
        assert seal is not None
        assert job.secrets is not None
        assert seal.open("secrets", job.secrets) == '{"password":"hunter2"}'
    assert b"hunter2" not in b"".join([row.state for row in await shop.log.read_after(0)])


async def test_a_step_whose_secret_has_ended_with_the_workflow_fails_with_a_code(
    shop: WorkflowShop,
) -> None:
    workflow = await shop.submit(step("a"), secrets='{"password":"hunter2"}')
    manager = shop.manager()
    await shop.settle(manager)
    await shop.finish((await shop.jobs(workflow, "a"))[0], fails=True)
    await shop.settle(manager)
    shop.log.erase(secrets_id(workflow.id))

    await shop.repository.change(Workflow, workflow.id, lambda it: it.reopen(None, origin()))
    await shop.settle(manager)

    assert [fact.code for fact in await told(shop, facts.StepEnded)] == [
        "JOBS_FAILED",
        "SECRET_GONE",
    ]
    assert (await shop.load(workflow)).status is WorkflowStatus.FAILED


async def test_a_job_that_a_worker_lost_ends_the_step_when_its_attempts_are_used_up(
    shop: WorkflowShop,
) -> None:
    workflow = await shop.submit(step("a"))
    manager = shop.manager()
    await shop.settle(manager)
    (job,) = await shop.jobs(workflow, "a")

    def lose(job: Job) -> None:
        job.expire_attempt(job.start_attempt("worker:1", "L1", origin()), origin())

    await shop.repository.change(Job, job.id, lose)
    await shop.settle(manager)
    assert (await shop.load(workflow)).status is WorkflowStatus.FAILED


async def test_a_job_that_names_no_workflow_of_the_log_is_left_alone(shop: WorkflowShop) -> None:
    await shop.submit(step("a"))
    manager = shop.manager()
    await shop.settle(manager)
    (job,) = await shop.open_jobs()
    loaded = await shop.repository.load(Job, job.id)
    await shop.repository.save(loaded)
    manager._news._workflow_of[job.id] = uuid4()
    await shop.finish(job)

    await shop.settle(manager)


async def test_a_batch_of_a_thousand_is_started_and_ended(shop: WorkflowShop) -> None:
    many = [step(f"s{number}") for number in range(1_000)]
    workflow = await shop.submit(*many, on_failure=OnFailure.CONTINUE)
    manager = shop.manager()
    await shop.settle(manager)
    opened = await shop.open_jobs()
    assert len(opened) == 1_000
    for number, job in enumerate(opened):
        await shop.finish(job, fails=number % 100 == 0)
    await shop.settle(manager)

    (ended,) = await told(shop, facts.WorkflowFailed)
    assert (ended.counts["jobs_succeeded"], ended.counts["jobs_failed"]) == (990, 10)
    assert (await shop.load(workflow)).status is WorkflowStatus.FAILED


async def play(shop: WorkflowShop, trouble: Any) -> Workflow:
    """A workflow with everything in it, moved on by managers that die where trouble says."""
    workflow = await shop.submit(
        step("split"),
        step("each", for_each="split", quorum=at_least(2)),
        step("side"),
        step("first", "each", "side", join=ANY),
        step("join", "first", takes=["each"]),
        files=["in.pdf"],
    )
    shop.log.appends, shop.log.trouble = 0, trouble
    manager = shop.manager()
    for _ in range(300):
        if (await shop.load(workflow)).status.is_final:
            break
        try:
            await manager.run_once()
        except LogUnavailable:
            manager = shop.manager()
            continue
        # Workers are not what is tried here: their appends meet no trouble.
        shop.log.trouble = lambda number: None
        appends = shop.log.appends
        for number, job in enumerate(await shop.open_jobs()):
            outputs = ["1.png", "2.png", "3.png"] if len(job.inputs) == 1 else ["out.png"]
            await shop.finish(job, *outputs, fails=number == 2)
        shop.log.appends, shop.log.trouble = appends, trouble
    shop.log.trouble = lambda number: None
    await shop.settle(manager)
    return workflow


@pytest.mark.parametrize("trouble", [LogUnavailable, OutcomeUnknown])
@pytest.mark.parametrize("point", range(1, 7))
async def test_a_crash_at_any_append_starts_nothing_twice(
    shop: WorkflowShop, point: int, trouble: type[Exception]
) -> None:
    met: list[int] = []

    def crash(number: int) -> type[Exception] | None:
        if number != point:
            return None
        met.append(number)
        return trouble

    workflow = await play(shop, crash)

    assert met == [point]
    started = Counter((fact.step, fact.round) for fact in await told(shop, facts.StepStarted))
    loaded = await shop.load(workflow)
    assert loaded.status is WorkflowStatus.SUCCEEDED
    assert set(started) == {(name, 1) for name in loaded.plans}
    assert set(started.values()) == {1}
    submitted = Counter(fact.originator_id for fact in await told(shop, jobs.JobSubmitted))
    assert set(submitted) == {job for state in loaded.steps.values() for job in state.jobs}
    assert set(submitted.values()) == {1}
    assert len(await told(shop, facts.WorkflowSucceeded)) == 1
    # Where the outcome of an append was unknown, copies may stay for the sweeper.
    if trouble is LogUnavailable:
        assert await shop.all_blobs() <= await shop.referred_blobs()
    assert await shop.referred_blobs() <= await shop.all_blobs()


async def test_it_can_be_read_from_the_beginning_at_any_time(shop: WorkflowShop) -> None:
    await play(shop, lambda number: None)
    head = await shop.log.head()

    shop.checkpoint.position = 0
    await shop.settle(shop.manager())
    assert await shop.log.head() == head


async def test_two_managers_at_once_start_a_step_once(shop: WorkflowShop) -> None:
    workflow = await shop.submit(step("a"), step("b", takes=["a"]), files=["in.png"])
    one, other = shop.manager(), shop.manager()

    async def overtake() -> None:
        await other.run_once()

    for _ in range(2):
        shop.log.between = overtake
        await shop.settle(one)
        (job,) = await shop.open_jobs()
        await shop.finish(job, "out.png")
    shop.log.between = overtake
    await shop.settle(one)

    assert (await shop.load(workflow)).status is WorkflowStatus.SUCCEEDED
    assert len(await told(shop, facts.StepStarted)) == 2
    assert len(await told(shop, jobs.JobSubmitted)) == 2
    assert await shop.all_blobs() == await shop.referred_blobs()


async def test_a_cancel_in_the_same_moment_as_a_start_wins_or_comes_after(
    shop: WorkflowShop,
) -> None:
    workflow = await shop.submit(step("a"))

    async def cancel() -> None:
        await shop.repository.change(Workflow, workflow.id, lambda it: it.cancel(origin()))

    shop.log.between = cancel
    await shop.settle(shop.manager())

    loaded = await shop.load(workflow)
    assert loaded.status is WorkflowStatus.CANCELLED
    assert loaded.steps["a"].status is StepStatus.SKIPPED
    assert await told(shop, jobs.JobSubmitted) == []


async def test_a_manager_that_does_not_lead_does_nothing(shop: WorkflowShop) -> None:
    await shop.submit(step("a"))
    manager = shop.manager()
    manager._lead.held = False  # type: ignore[attr-defined]

    await manager.run_once()

    assert await shop.open_jobs() == []
