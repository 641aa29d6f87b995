"""The workflow's rules: by example where a rule has a story, by random walks where it must hold."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from events.contracts import workflow as facts
from events.contracts.values import JobStatus
from events.contracts.workflow import OnFailure, StepStatus, WorkflowStatus
from events.domain.errors import (
    DomainError,
    StepNotFound,
    StepNotReady,
    WorkflowIsFinal,
    WorkflowIsNotFinal,
    WorkflowTooLarge,
)
from events.domain.workflow import JOBS_FAILED, StepState, Workflow
from events.domain.workflow_plan import FAN_OUT_MAX, WORKFLOW_JOBS_MAX, StepPlan
from events.store.codec import Codec
from tests.factories.workflows import (
    ALWAYS,
    ANY,
    at_least,
    end,
    names,
    run,
    start,
    step,
    submitted_workflow,
)
from tests.fixtures.events import origin

FAILED = JobStatus.FAILED


def statuses(workflow: Workflow) -> dict[str, str]:
    return {name: state.status.value for name, state in workflow.steps.items()}


def test_a_chain_runs_one_step_after_the_other() -> None:
    workflow = submitted_workflow(step("a"), step("b", takes=["a"]))

    assert names(workflow) == ["a"]
    (job,) = start(workflow, "a")
    assert names(workflow) == []
    end(workflow, [job])
    assert names(workflow) == ["b"]
    run(workflow, "b")

    assert workflow.status is WorkflowStatus.SUCCEEDED


def test_a_step_is_started_once() -> None:
    workflow = submitted_workflow(step("a"), step("b"))
    start(workflow, "a")

    with pytest.raises(StepNotReady):
        start(workflow, "a")


def test_a_fan_in_of_all_waits_for_the_last() -> None:
    workflow = submitted_workflow(step("a"), step("b"), step("c", "a", "b"))
    run(workflow, "a")

    assert names(workflow) == ["b"]
    run(workflow, "b")
    assert names(workflow) == ["c"]


def test_a_fan_in_of_any_fires_at_the_first_and_not_again() -> None:
    workflow = submitted_workflow(step("a"), step("b"), step("c", "a", "b", join=ANY))
    slow = start(workflow, "b")
    run(workflow, "a")
    run(workflow, "c")
    end(workflow, slow, FAILED)

    assert workflow.status is WorkflowStatus.SUCCEEDED
    assert workflow.counts()["steps_failed"] == 1


def test_a_fan_in_of_at_least_two_goes_ahead_without_the_third() -> None:
    steps = [step(name) for name in "abc"]
    workflow = submitted_workflow(*steps, step("d", *"abc", join=at_least(2)))
    run(workflow, "a", FAILED)
    run(workflow, "b")
    assert names(workflow) == ["c"]
    run(workflow, "c")

    assert names(workflow) == ["d"]


def test_a_fan_in_that_cannot_come_is_skipped_and_fails_the_workflow() -> None:
    workflow = submitted_workflow(step("a"), step("b"), step("c", "a", "b", join=at_least(2)))
    other = start(workflow, "b")
    run(workflow, "a", FAILED)

    assert workflow.steps["c"].status is StepStatus.SKIPPED
    end(workflow, other)
    assert workflow.status is WorkflowStatus.FAILED


def test_a_step_that_joins_always_runs_after_a_failure_and_forgives_nothing() -> None:
    workflow = submitted_workflow(step("a"), step("b", "a"), step("tidy", "b", join=ALWAYS))
    run(workflow, "a", FAILED)

    assert statuses(workflow) == {"a": "failed", "b": "skipped", "tidy": "pending"}
    run(workflow, "tidy")
    assert workflow.status is WorkflowStatus.FAILED


def test_after_a_failure_nothing_else_is_started() -> None:
    workflow = submitted_workflow(step("a"), step("b"), step("c", "b"))
    running = start(workflow, "b")
    run(workflow, "a", FAILED)

    assert statuses(workflow) == {"a": "failed", "b": "running", "c": "skipped"}
    end(workflow, running)
    assert workflow.status is WorkflowStatus.FAILED


def test_or_what_does_not_depend_on_it_goes_on() -> None:
    workflow = submitted_workflow(
        step("a"), step("b"), step("c", "b"), step("d", "a"), on_failure=OnFailure.CONTINUE
    )
    run(workflow, "a", FAILED)
    run(workflow, "b")
    run(workflow, "c")

    assert statuses(workflow)["d"] == "skipped"
    assert workflow.status is WorkflowStatus.FAILED


def test_a_thousand_steps_are_given_up_in_one_fact() -> None:
    chain = [step(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(1_000)]
    workflow = submitted_workflow(*chain, on_failure=OnFailure.CONTINUE)
    run(workflow, "s0", FAILED)

    assert workflow.status is WorkflowStatus.FAILED
    assert [type(fact) for fact in workflow.pending_events][-2:] == [
        facts.StepsSkipped,
        facts.WorkflowFailed,
    ]


def test_a_step_of_many_jobs_ends_with_its_last() -> None:
    workflow = submitted_workflow(step("a"), step("each", for_each="a"))
    run(workflow, "a")
    jobs = start(workflow, "each", 3)
    end(workflow, jobs[:2])
    assert workflow.steps["each"].status is StepStatus.RUNNING
    end(workflow, jobs)

    assert workflow.status is WorkflowStatus.SUCCEEDED
    assert workflow.steps["each"].succeeded_jobs == jobs


@pytest.mark.parametrize(
    ("quorum", "status"), [(None, "failed"), (at_least(2), "succeeded"), (at_least(3), "failed")]
)
def test_a_quorum_says_how_many_jobs_have_to_succeed(quorum: Any, status: str) -> None:
    changes = {} if quorum is None else {"quorum": quorum}
    workflow = submitted_workflow(step("a"), step("each", for_each="a", **changes))
    run(workflow, "a")
    jobs = start(workflow, "each", 3)
    end(workflow, jobs[:1], FAILED)
    end(workflow, jobs[1:])

    assert workflow.steps["each"].status == status
    assert workflow.status == status


def test_a_step_for_each_of_nothing_succeeds_at_once() -> None:
    workflow = submitted_workflow(step("a"), step("each", for_each="a"), step("b", "each"))
    run(workflow, "a")
    start(workflow, "each", 0)

    assert names(workflow) == ["b"]


def test_a_step_that_cannot_be_started_has_failed_with_a_code() -> None:
    workflow = submitted_workflow(step("a"))
    workflow.fail_step("a", "INVALID_INPUTS", origin())

    ended = workflow.pending_events[-2]
    assert isinstance(ended, facts.StepEnded)
    assert (ended.code, workflow.status) == ("INVALID_INPUTS", WorkflowStatus.FAILED)


def test_a_cancelled_workflow_starts_nothing_and_names_what_still_runs() -> None:
    workflow = submitted_workflow(step("a"), step("b"), step("c", "b"))
    jobs = start(workflow, "a")
    workflow.cancel(origin())

    assert statuses(workflow) == {"a": "cancelled", "b": "skipped", "c": "skipped"}
    assert (names(workflow), workflow.abandoned) == ([], set(jobs))
    with pytest.raises(StepNotReady):
        start(workflow, "b")
    with pytest.raises(WorkflowIsFinal) as refused:
        workflow.cancel(origin())
    assert refused.value.details == {"status": WorkflowStatus.CANCELLED}


def test_a_retry_runs_what_did_not_succeed_and_all_after_it() -> None:
    workflow = submitted_workflow(step("a"), step("b", "a"), step("c", "b"), step("d", "a"))
    run(workflow, "a")
    run(workflow, "d")
    old = start(workflow, "b")
    end(workflow, old, FAILED)
    workflow.reopen(None, origin())

    assert statuses(workflow) == {
        "a": "succeeded",
        "b": "pending",
        "c": "pending",
        "d": "succeeded",
    }
    new = start(workflow, "b")
    assert (workflow.round, old != new) == (2, True)
    end(workflow, old, FAILED)
    assert workflow.steps["b"].status is StepStatus.RUNNING
    end(workflow, new)
    run(workflow, "c")
    assert workflow.status is WorkflowStatus.SUCCEEDED


@pytest.mark.parametrize(("named", "again"), [("b", ["b", "c"]), ("a", "abc"), ("*", "abc")])
def test_a_retry_from_a_step_runs_it_and_all_after_it(named: str, again: Any) -> None:
    workflow = submitted_workflow(step("a"), step("b", "a"), step("c", "b"))
    run(workflow, "a")
    run(workflow, "b")
    run(workflow, "c", FAILED)
    workflow.reopen(named, origin())

    reopened = workflow.pending_events[-1]
    assert isinstance(reopened, facts.WorkflowReopened)
    assert reopened.again == list(again)


def test_a_workflow_has_a_limit_of_jobs_in_a_round() -> None:
    many, rest = divmod(WORKFLOW_JOBS_MAX, FAN_OUT_MAX)
    each = [step(f"s{number}", for_each="a") for number in range(many)]
    workflow = submitted_workflow(step("a"), *each, step("last"))
    run(workflow, "a")
    for plan in each[:-1]:
        start(workflow, plan.id, FAN_OUT_MAX)
    assert (rest, workflow.room) == (0, FAN_OUT_MAX - 1)

    with pytest.raises(WorkflowTooLarge) as refused:
        start(workflow, each[-1].id, FAN_OUT_MAX)
    assert refused.value.details == {"step": each[-1].id, "jobs_max": WORKFLOW_JOBS_MAX}
    start(workflow, each[-1].id, FAN_OUT_MAX - 2)
    start(workflow, "last")
    assert workflow.room == 0
    workflow.cancel(origin())
    workflow.reopen("*", origin())
    assert workflow.room == WORKFLOW_JOBS_MAX


def fanned_out(*ends: str, **changes: Any) -> tuple[Workflow, list[UUID]]:
    """A failed workflow, of which a step for each output has ended so."""
    workflow = submitted_workflow(
        step("a"), step("each", for_each="a", **changes), step("b", takes=["each"])
    )
    run(workflow, "a")
    jobs = start(workflow, "each", len(ends))
    workflow.note_ended(dict(zip(jobs, ends, strict=True)), origin())
    return workflow, jobs


@pytest.mark.parametrize("named", [None, "each"])
def test_a_retry_makes_only_the_jobs_of_a_step_that_did_not_succeed(named: str | None) -> None:
    workflow, old = fanned_out("succeeded", "failed", "succeeded", "cancelled")
    workflow.reopen(named, origin())

    made = start(workflow, "each", 4)
    assert workflow.steps["each"].jobs == [old[0], made[0], old[2], made[1]]
    assert made == [facts.step_job_id(workflow.id, "each", 2, place) for place in (1, 3)]
    end(workflow, made[:1])
    end(workflow, [*old, *made[:1]])
    assert names(workflow) == []
    end(workflow, made)
    assert names(workflow) == ["b"]
    run(workflow, "b")
    assert workflow.status is WorkflowStatus.SUCCEEDED
    assert workflow.counts()["jobs_succeeded"] == 6


@pytest.mark.parametrize(
    ("named", "whole", "ends"),
    [
        ("each", True, ["succeeded", "failed"]),
        (None, True, ["succeeded", "failed"]),
        ("a", False, ["succeeded", "failed"]),
        ("*", False, ["succeeded", "failed"]),
        (None, False, ["failed", "failed"]),
    ],
)
def test_a_retry_makes_all_jobs_where_that_is_wanted_or_their_files_are_others(
    named: str | None, whole: bool, ends: list[str]
) -> None:
    workflow, old = fanned_out(*ends)
    workflow.reopen(named, origin(), whole_steps=whole)
    if "a" in names(workflow):
        run(workflow, "a")

    assert set(start(workflow, "each", 2)).isdisjoint(old)
    assert workflow.steps["each"].ended == {}


def test_a_step_that_is_named_although_all_its_jobs_succeeded_is_run_whole() -> None:
    workflow, _ = fanned_out("succeeded", "succeeded")
    run(workflow, "b", FAILED)
    workflow.reopen("each", origin())

    assert len(start(workflow, "each", 2)) == 2


def test_a_step_that_began_before_its_sources_had_ended_keeps_nothing() -> None:
    workflow = submitted_workflow(
        step("a"), step("side"), step("each", "side", for_each="a", join=ANY)
    )
    run(workflow, "a")
    jobs = start(workflow, "each", 2)
    run(workflow, "side")
    end(workflow, jobs[:1])
    end(workflow, jobs[1:], FAILED)
    workflow.reopen(None, origin())

    assert len(start(workflow, "each", 2)) == 2


def test_what_a_round_does_not_come_to_use_is_kept_by_the_next() -> None:
    workflow, old = fanned_out("succeeded", "failed")
    workflow.reopen(None, origin())
    workflow.cancel(origin())
    workflow.reopen(None, origin())
    workflow.fail_step("each", "TOOL_UNAVAILABLE", origin())
    workflow.reopen(None, origin())

    (made,) = start(workflow, "each", 2)
    assert workflow.steps["each"].jobs == [old[0], made]
    workflow.cancel(origin())
    assert workflow.abandoned == {made}


def test_another_number_of_jobs_than_before_keeps_none() -> None:
    workflow, _ = fanned_out("succeeded", "failed")
    workflow.reopen(None, origin())

    assert len(start(workflow, "each", 3)) == 3


def test_only_what_has_ended_badly_can_be_tried_again() -> None:
    workflow = submitted_workflow(step("a"))

    with pytest.raises(WorkflowIsNotFinal):
        workflow.reopen(None, origin())
    with pytest.raises(StepNotFound):
        workflow.reopen("b", origin())
    run(workflow, "a")
    with pytest.raises(WorkflowIsFinal):
        workflow.reopen("a", origin())


def test_the_end_says_how_many_of_each_there_were() -> None:
    workflow = submitted_workflow(step("a"), step("b"), on_failure=OnFailure.CONTINUE)
    run(workflow, "a", FAILED)
    run(workflow, "b")

    ended = workflow.pending_events[-1]
    assert isinstance(ended, facts.WorkflowFailed)
    assert (ended.counts["jobs_failed"], ended.counts["jobs_succeeded"]) == (1, 1)
    assert workflow.pending_events[-2].code is None  # type: ignore[attr-defined]
    assert JOBS_FAILED in {getattr(fact, "code", None) for fact in workflow.pending_events}


JOINS = st.sampled_from(["all", "any", "always", "two"])


@st.composite
def plans(draw: st.DrawFn) -> list[StepPlan]:
    """A few steps, each after some of those before it."""
    steps: list[StepPlan] = []
    for number in range(draw(st.integers(1, 6))):
        earlier = [each.id for each in steps]
        after = draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        each = draw(st.sampled_from([None, *earlier]))
        needs = len({*after, each} - {None})
        joins = {"any": ANY, "always": ALWAYS, "two": at_least(2)}
        join = joins.get(draw(JOINS)) if needs >= 2 else None
        changes = {} if join is None else {"join": join}
        steps.append(step(f"s{number}", *after, for_each=each, **changes))
    return steps


class WorkflowLife(RuleBasedStateMachine):
    """Endings come twice, late, in any order or not at all; the rules hold."""

    @initialize(steps=plans(), on_failure=st.sampled_from(OnFailure))
    def submit(self, steps: list[StepPlan], on_failure: OnFailure) -> None:
        self.workflow = submitted_workflow(*steps, on_failure=on_failure)
        self.jobs: list[UUID] = []
        self.ends: dict[UUID, str] = {}

    @rule(data=st.data(), jobs=st.integers(0, 3))
    def start(self, data: st.DataObject, jobs: int) -> None:
        """A manager starts what is ready."""
        ready = self.workflow.ready()
        if ready:
            plan = data.draw(st.sampled_from(ready))
            again = len(self.workflow.steps[plan.id].kept)
            count = again or (jobs if plan.for_each is not None else 1)
            self.jobs += self.workflow.start_step(plan.id, count, origin())

    @rule(data=st.data())
    def start_what_is_not_ready(self, data: st.DataObject) -> None:
        """A second manager that is late is refused."""
        ready = {plan.id for plan in self.workflow.ready()}
        others = sorted(set(self.workflow.steps) - ready)
        if others:
            with pytest.raises(StepNotReady):
                self.workflow.start_step(data.draw(st.sampled_from(others)), 1, origin())

    @rule(data=st.data())
    def refuse_to_start(self, data: st.DataObject) -> None:
        """A step's inputs do not fit."""
        ready = self.workflow.ready()
        if ready:
            self.workflow.fail_step(data.draw(st.sampled_from(ready)).id, "NO", origin())

    @rule(data=st.data(), how=st.sampled_from(["succeeded", "succeeded", "failed", "cancelled"]))
    def end(self, data: st.DataObject, how: str) -> None:
        """Some jobs end, of whatever round; a job ends in one way, however often it is told."""
        if self.jobs:
            ended = data.draw(st.lists(st.sampled_from(self.jobs), min_size=1))
            told = {job: self.ends.setdefault(job, how) for job in ended}
            self.workflow.note_ended(told, origin())
            before = self.workflow.version
            self.workflow.note_ended(told, origin())
            assert self.workflow.version == before

    @rule()
    def cancel(self) -> None:
        was_final = self.workflow.status.is_final
        try:
            self.workflow.cancel(origin())
        except DomainError:
            assert was_final

    @precondition(lambda self: self.workflow.status.is_final)
    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        named = data.draw(st.sampled_from([None, "*", *self.workflow.steps]))
        try:
            self.workflow.reopen(named, origin(), whole_steps=data.draw(st.booleans()))
        except WorkflowIsFinal:
            assert self.workflow.status is WorkflowStatus.SUCCEEDED

    @invariant()
    def every_round_ends_once_and_nothing_follows_it(self) -> None:
        ended: set[int] = set()
        for fact in self.workflow.pending_events[1:]:
            if isinstance(fact, facts.WorkflowReopened):
                assert fact.round - 1 in ended
            else:
                assert fact.round not in ended  # type: ignore[attr-defined]
            if isinstance(
                fact, facts.WorkflowSucceeded | facts.WorkflowFailed | facts.WorkflowCancelled
            ):
                ended.add(fact.round)

    @invariant()
    def a_step_starts_and_ends_at_most_once_in_a_round(self) -> None:
        for kind in (facts.StepStarted, facts.StepEnded):
            told = Counter(
                (fact.step, fact.round)  # type: ignore[attr-defined]
                for fact in self.workflow.pending_events
                if isinstance(fact, kind)
            )
            assert set(told.values()) <= {1}

    @invariant()
    def an_end_is_counted_once(self) -> None:
        told = Counter(
            job
            for fact in self.workflow.pending_events
            if isinstance(fact, facts.StepJobsEnded | facts.StepEnded)
            for job in fact.ended
        )
        assert set(told.values()) <= {1}

    @invariant()
    def what_is_kept_has_succeeded_and_is_not_made_again(self) -> None:
        started = [f for f in self.workflow.pending_events if isinstance(f, facts.StepStarted)]
        for fact in started:
            kept = fact.kept or []
            assert {self.ends[UUID(job)] for job in kept} <= {"succeeded"}
            assert set(kept) < set(fact.jobs) or not kept
        made = Counter(job for fact in started for job in set(fact.jobs) - set(fact.kept or []))
        assert set(made.values()) <= {1}
        assert {UUID(job) for job in made} == set(self.jobs)

    @invariant()
    def a_workflow_that_runs_has_something_to_do(self) -> None:
        running = any(state.status is StepStatus.RUNNING for state in self.workflow.steps.values())
        assert self.workflow.status.is_final or running or self.workflow.ready()

    @invariant()
    def its_history_makes_the_same_workflow(self) -> None:
        codec = Codec()
        folded: Any = None
        for fact in self.workflow.pending_events:
            stored = codec.to_stored_event(fact)
            folded = codec.to_domain_event(stored).mutate(folded)  # type: ignore[attr-defined]
        assert isinstance(folded, Workflow)
        assert folded.steps == self.workflow.steps
        assert folded.ready() == self.workflow.ready()
        assert folded.abandoned == self.workflow.abandoned


TestWorkflowLife = WorkflowLife.TestCase
TestWorkflowLife.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_a_state_knows_which_of_its_jobs_succeeded_in_their_order() -> None:
    one, two, three = (UUID(int=number) for number in (1, 2, 3))
    state = StepState(StepStatus.SUCCEEDED, 1, [one, two, three], {three: "succeeded"})
    state.ended[one] = "succeeded"
    state.ended[two] = "failed"

    assert state.succeeded_jobs == [one, three]
