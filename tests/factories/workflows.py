"""Makes plans and workflows for tests."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from events.contracts.values import JobStatus, SealedText
from events.domain.workflow import Workflow, WorkflowRequest
from events.domain.workflow_plan import Join, Policy, StepInput, StepPlan
from infrastructure.ids import uuid7
from tests.fixtures.events import origin

ANY = Join(Policy.ANY)
ALWAYS = Join(Policy.ALWAYS)
OPTIONS = SealedText("s1.options")


def at_least(number: int) -> Join:
    """A policy with its number."""
    return Join(Policy.AT_LEAST, number)


def step(name: str, *after: str, takes: Iterable[str] = (), **changes: Any) -> StepPlan:
    """A step that comes after others, and takes every output of some."""
    inputs = tuple(StepInput(step=each) for each in takes)
    return StepPlan(name, "no-op", OPTIONS, inputs, after, **changes)


def submitted_workflow(*steps: StepPlan, **changes: Any) -> Workflow:
    """A workflow that was just submitted and is not yet saved."""
    return Workflow.submit(uuid7(), WorkflowRequest("user:1", steps, **changes), origin())


def names(workflow: Workflow) -> list[str]:
    """The steps that may start now."""
    return [plan.id for plan in workflow.ready()]


def start(workflow: Workflow, step: str, jobs: int = 1) -> list[UUID]:
    """Start a step."""
    return workflow.start_step(step, jobs, origin())


def end(workflow: Workflow, jobs: Iterable[UUID], how: JobStatus = JobStatus.SUCCEEDED) -> None:
    """Tell how jobs ended."""
    workflow.note_ended(dict.fromkeys(jobs, how.value), origin())


def run(workflow: Workflow, step: str, how: JobStatus = JobStatus.SUCCEEDED) -> None:
    """Start a step with one job that ends so."""
    end(workflow, start(workflow, step), how)
