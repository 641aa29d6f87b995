"""Draws the state of a workflow as Mermaid text: a box for each step, an arrow for each wait.

An arrow is thick where each output makes a job, plain where outputs are taken, and dotted where one
step only waits for the other. Boxes have numbers, because a step may be called `end`, which means
something to Mermaid.
"""

from collections.abc import Iterator
from typing import Final

from events.contracts.workflow import StepStatus
from query_api.workflow_views import Policy, StepView, WorkflowDetailView

MEDIA_TYPE: Final = "text/vnd.mermaid"
STYLES: Final = {
    StepStatus.PENDING: "fill:#f4f4f4,stroke:#999,color:#333",
    StepStatus.RUNNING: "fill:#dbeafe,stroke:#1d4ed8,color:#111",
    StepStatus.SUCCEEDED: "fill:#dcfce7,stroke:#15803d,color:#111",
    StepStatus.FAILED: "fill:#fee2e2,stroke:#b91c1c,color:#111",
    StepStatus.SKIPPED: "fill:#fff,stroke:#999,color:#777,stroke-dasharray:4",
    StepStatus.CANCELLED: "fill:#fef3c7,stroke:#b45309,color:#111",
}


def mermaid(workflow: WorkflowDetailView) -> str:
    """The picture; a class for each state says how its boxes look."""
    return "\n".join(["flowchart TD", *_lines(workflow)]) + "\n"


def _lines(workflow: WorkflowDetailView) -> Iterator[str]:
    box = {step.id: f"s{number}" for number, step in enumerate(workflow.steps, 1)}
    for step in workflow.steps:
        yield f'    {box[step.id]}["{"<br/>".join(_words(step))}"]:::{step.status.value}'
    for step in workflow.steps:
        for needed, arrow in _arrows(step).items():
            yield f"    {box[needed]} {arrow} {box[step.id]}"
    for status, style in STYLES.items():
        yield f"    classDef {status.value} {style}"


def _arrows(step: StepView) -> dict[str, str]:
    """One for each step that this one waits for, whatever it wants of it."""
    arrows = dict.fromkeys(step.after, "-.->") | dict.fromkeys(step.takes, "-->")
    return arrows if step.for_each is None else arrows | {step.for_each: "==>"}


def _words(step: StepView) -> Iterator[str]:
    yield _plain(step.id)
    yield _plain(step.tool)
    if step.join != "all":
        yield f"after {_policy(step.join)}"
    if step.for_each is not None and step.jobs:
        yield f"{sum(job.ended is not None for job in step.jobs)} of {len(step.jobs)} ended"
    yield step.status.value if step.code is None else f"{step.status.value}: {_plain(step.code)}"


def _policy(policy: Policy) -> str:
    return policy if isinstance(policy, str) else f"at least {policy['at_least']}"


def _plain(text: str) -> str:
    """Text that cannot end the box that it stands in, nor make anything of HTML."""
    return "".join(each if each.isalnum() or each in "-_. " else f"#{ord(each)};" for each in text)
