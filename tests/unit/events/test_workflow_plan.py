"""Plans that make no sense, each told with the field at fault."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.contracts.values import SealedText
from events.domain.workflow_plan import (
    FAN_OUT_MAX,
    Join,
    StepInput,
    StepPlan,
    Verdict,
    in_order,
    problems,
)
from tests.factories.workflows import ALWAYS, ANY, at_least, step


def told(*steps: StepPlan) -> Sequence[tuple[str, str]]:
    return [(problem.field, problem.code) for problem in problems(steps)]


def test_a_plan_that_makes_sense_has_no_problems() -> None:
    plan = [
        step("a"),
        step("b", "a"),
        step("each", for_each="b", quorum=at_least(2)),
        step("join", "a", takes=["each"], join=ANY),
    ]

    assert told(*plan) == []
    assert plan[3].needs == ("a", "each")


def test_a_step_named_twice() -> None:
    assert told(step("a"), step("b"), step("a")) == [("steps.2.id", "step_repeated")]


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (step("b", "a", "nobody"), "steps.1.after.1"),
        (step("b", takes=["a", "nobody"]), "steps.1.inputs.1.step"),
        (step("b", for_each="nobody"), "steps.1.for_each"),
    ],
)
def test_an_unknown_step(plan: StepPlan, field: str) -> None:
    assert told(step("a"), plan) == [(field, "unknown_step")]


def test_a_circle_names_a_field_that_closes_it() -> None:
    problem = problems([step("a", "c"), step("b", "a"), step("c", takes=["b"]), step("d")])[0]

    assert problem.code == "cyclic"
    assert problem.field in {"steps.0.after.0", "steps.1.after.0", "steps.2.inputs.0.step"}
    assert {"a", "b", "c"} <= set(problem.message.replace(".", " ").split())


def test_a_step_that_waits_for_itself() -> None:
    assert told(step("a", "a")) == [("steps.0.after.0", "cyclic")]


@pytest.mark.parametrize(
    ("plan", "field", "code"),
    [
        (step("b", "a", join=at_least(2)), "steps.1.join", "join_too_high"),
        (step("b", join=ANY), "steps.1.join", "join_too_high"),
        (step("b", "a", quorum=ALWAYS), "steps.1.quorum", "quorum_of_one"),
        (
            step("b", for_each="a", quorum=at_least(FAN_OUT_MAX + 1)),
            "steps.1.quorum",
            "quorum_too_high",
        ),
    ],
)
def test_more_is_wanted_than_there_are(plan: StepPlan, field: str, code: str) -> None:
    assert told(step("a"), plan) == [(field, code)]


def test_a_plan_survives_its_stored_form() -> None:
    plan = step("b", "a", takes=["a"], for_each="a", join=at_least(2), quorum=ANY, priority=3)
    named = StepPlan("c", "t", SealedText("s1.x"), (StepInput(None, "a", SealedText("s1.y")),))

    assert StepPlan.from_json(plan.as_json()) == plan
    assert StepPlan.from_json(named.as_json()) == named


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(1, 6))
def test_a_verdict_that_is_not_wait_never_changes(
    succeeded: int, failed: int, more: int, least: int
) -> None:
    total = succeeded + failed + more
    for join in (Join(), ANY, ALWAYS, at_least(least)):
        verdict = join.verdict(succeeded, succeeded + failed, total)
        later = {
            join.verdict(succeeded + good, succeeded + failed + more, total)
            for good in range(more + 1)
        }
        assert Verdict.WAIT not in later
        assert verdict is Verdict.WAIT or later == {verdict}


def test_steps_come_after_what_they_wait_for() -> None:
    assert in_order([step("c", "b"), step("b", takes=["a"]), step("a")]) == ["a", "b", "c"]
