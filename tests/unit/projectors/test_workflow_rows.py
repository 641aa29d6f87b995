"""Given facts of a workflow, then its row: every step as the workflow itself has it."""

from collections.abc import Sequence
from copy import copy
from typing import Any

import orjson
from hypothesis import given as for_all
from hypothesis import strategies as st

from events.contracts.fact import AnyFact
from events.contracts.values import JobStatus, SealedText
from events.contracts.workflow import StepStatus
from events.domain.workflow import StepState, Workflow
from projectors.group import Group
from projectors.projections.workflow_summary import WorkflowSummary
from projectors.read_models.workflow_summary import workflow_summary
from tests.factories.histories import Histories, facts_of, recorded
from tests.factories.workflows import end, run, start, step, submitted_workflow
from tests.fixtures.events import NOON, origin

NAMES = [column.name for column in workflow_summary.c]


def given(facts: Sequence[AnyFact]) -> dict[str, Any]:
    """The row that the facts make."""
    group = Group()
    group.fold(group.decode(recorded(facts)))
    (rows,) = [rows for rows in group.all_rows if rows.table is workflow_summary]
    (record,) = rows.take()
    row = dict(zip(NAMES, record, strict=True))
    return row | {name: orjson.loads(row[name]) for name in ("plan", "steps", "counts")}


def as_shown(state: StepState) -> tuple[str, list[list[str | None]]]:
    """A step's status and jobs as the row has them."""
    return state.status.value, [[str(job), state.ended.get(job)] for job in state.jobs]


def test_a_workflow_shows_its_plan_and_where_each_step_is() -> None:
    workflow = submitted_workflow(
        step("a"), step("b", "a", for_each="a"), step("c", takes=["b"]), name=SealedText("s1.name")
    )
    run(workflow, "a")
    first, other = start(workflow, "b", jobs=2)
    end(workflow, [other], JobStatus.FAILED)

    row = given(facts_of(workflow))

    assert (row["status"], row["round"], row["ended_at"]) == ("running", 1, None)
    assert (row["name"], row["created_at"], row["version"]) == ("s1.name", NOON, 5)
    assert [
        (plan["id"], plan["after"], plan["takes"], plan["for_each"]) for plan in row["plan"]
    ] == [
        ("a", [], [], None),
        ("b", ["a"], [], "a"),
        ("c", [], ["b"], None),
    ]
    assert row["steps"].keys() == {"a", "b"}
    assert row["steps"]["a"]["status"] == "succeeded"
    assert row["steps"]["b"]["jobs"] == [[str(first), None], [str(other), "failed"]]
    assert row["counts"] == workflow.counts()


def test_neither_options_nor_files_are_in_the_row() -> None:
    (plan,) = given(facts_of(submitted_workflow(step("a"))))["plan"]

    assert plan.keys().isdisjoint({"options", "inputs"})


def test_a_workflow_that_is_called_off_leaves_nothing_open() -> None:
    workflow = submitted_workflow(step("a"), step("b"), step("c", "b"))
    run(workflow, "a")
    start(workflow, "b")
    workflow.cancel(origin())

    row = given(facts_of(workflow))

    assert (row["status"], row["ended_at"]) == ("cancelled", NOON)
    states = {name: state["status"] for name, state in row["steps"].items()}
    assert states == {"a": "succeeded", "b": "cancelled", "c": "skipped"}


def test_another_round_keeps_what_had_succeeded() -> None:
    workflow = submitted_workflow(step("a"), step("b", "a"))
    run(workflow, "a")
    workflow.fail_step("b", "INPUT_GONE", origin())
    failed = given(facts := facts_of(workflow))
    workflow.reopen(None, origin())

    row = given([*facts, *facts_of(workflow)])

    assert (failed["status"], failed["steps"]["b"]["code"]) == ("failed", "INPUT_GONE")
    assert (row["status"], row["round"], row["ended_at"]) == ("running", 2, None)
    assert row["steps"].keys() == {"a"}


def test_a_step_that_keeps_jobs_of_an_earlier_round_shows_them_as_ended() -> None:
    workflow = submitted_workflow(step("a"), step("b", for_each="a"))
    run(workflow, "a")
    done, failed = start(workflow, "b", 2)
    end(workflow, [done])
    end(workflow, [failed], JobStatus.FAILED)
    workflow.reopen(None, origin())
    (made,) = start(workflow, "b", 2)

    row = given(facts_of(workflow))

    assert row["steps"]["b"]["jobs"] == [[str(done), "succeeded"], [str(made), None]]
    assert row["counts"] == workflow.counts()


@for_all(st.integers(min_value=0, max_value=10**6))
def test_the_row_says_what_the_workflow_says(seed: int) -> None:
    facts = Histories(seed).workflow()
    workflow: Any = None
    for fact in facts:
        workflow = fact.mutate(workflow)
    assert isinstance(workflow, Workflow)

    row = given(facts)

    assert (row["status"], row["round"]) == (workflow.status, workflow.round)
    assert row["counts"] == workflow.counts()
    pending = StepStatus.PENDING
    open_steps = {name for name, state in workflow.steps.items() if state.status is pending}
    assert row["steps"].keys() == workflow.steps.keys() - open_steps
    for name, state in row["steps"].items():
        assert (state["status"], state["jobs"]) == as_shown(workflow.steps[name])
        assert state["status"] != StepStatus.PENDING


def test_what_happens_later_does_not_change_a_copy_of_the_row() -> None:
    workflow = submitted_workflow(step("a"), step("b", "a"))
    first, other = start(workflow, "a", jobs=2)
    begun = facts_of(workflow)
    end(workflow, [first])
    end(workflow, [other], JobStatus.FAILED)
    projection = WorkflowSummary()
    rows = recorded([*begun, *facts_of(workflow)])
    group = Group()
    events = group.decode(rows)
    for row, fact in events[: len(begun)]:
        projection.fold(fact, row, None, None)
    found = projection.rows.get(workflow.id)
    assert found is not None
    before, text = copy(found), found.steps

    for row, fact in events[len(begun) :]:
        projection.fold(fact, row, None, None)

    assert before.steps == text != found.steps
