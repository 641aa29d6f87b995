"""The documents that submit workflows and batches, and what is answered to them."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from command_api.bodies import OutputInputBody, RequestBody, UploadInputBody
from command_api.commands import (
    INPUTS_MAX,
    Labels,
    Options,
    OutputName,
    Priority,
    QueueName,
    ToolName,
)
from command_api.workflow_commands import EVERY_OUTPUT, JoinPolicy, StepId, WorkflowName
from events.contracts.values import DEFAULT_QUEUE
from events.contracts.workflow import OnFailure, WorkflowStatus
from events.domain.workflow_plan import FAN_OUT_MAX, STEPS_MAX, Join

EXAMPLE: Final[dict[str, Any]] = {
    "name": "Scans to one document",
    "steps": [
        {
            "id": "convert",
            "tool": "image-converter",
            "options": {"output_format": "png"},
            "inputs": [{"upload_id": "01a20766-3488-7559-a501-93ab8b57f533"}],
        },
        {
            "id": "shrink",
            "tool": "image-resizer",
            "options": {"width": 1200},
            "for_each": "convert",
        },
        {
            "id": "sum",
            "tool": "checksum",
            "inputs": [{"step": "shrink", "output": "*"}],
            "join": "all",
        },
    ],
    "on_failure": "stop",
}


class StepOutputBody(RequestBody):
    """What another step makes."""

    step: StepId
    output: OutputName | Literal["*"] = Field(
        default=EVERY_OUTPUT, description="The name of one output; `*` takes every one."
    )


class StepBody(RequestBody):
    """One step: a tool to run, and what to wait for before."""

    id: StepId
    tool: ToolName
    options: Options = Field(default_factory=dict)
    inputs: Annotated[
        tuple[UploadInputBody | OutputInputBody | StepOutputBody, ...],
        Field(max_length=INPUTS_MAX),
    ] = ()
    after: Annotated[tuple[StepId, ...], Field(max_length=STEPS_MAX)] = Field(
        default=(), description="Steps to wait for, besides those whose outputs are taken."
    )
    for_each: StepId | None = Field(
        default=None,
        description="One job for each output of this step, which is the job's first input; "
        f"at most {FAN_OUT_MAX}.",
    )
    join: JoinPolicy = Field(
        default=Join(), description="How many of the steps waited for have to succeed."
    )
    quorum: JoinPolicy = Field(
        default=Join(), description="How many of the jobs of `for_each` have to succeed."
    )
    queue: QueueName = DEFAULT_QUEUE
    priority: Priority = 0


class WorkflowBody(RequestBody):
    """Steps to run, each as soon as what it waits for has ended."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [EXAMPLE]}
    )

    name: WorkflowName | None = None
    steps: Annotated[tuple[StepBody, ...], Field(min_length=1, max_length=STEPS_MAX)]
    on_failure: OnFailure = Field(
        default=OnFailure.STOP, description="What a failure means for steps not started yet."
    )
    labels: Labels = Field(default_factory=dict, description="Every job gets them too.")


class BatchJobBody(RequestBody):
    """One job of a batch."""

    id: StepId | None = Field(default=None, description="By default `job-1`, `job-2`, ….")
    tool: ToolName
    options: Options = Field(default_factory=dict)
    inputs: Annotated[
        tuple[UploadInputBody | OutputInputBody, ...], Field(max_length=INPUTS_MAX)
    ] = ()
    queue: QueueName = DEFAULT_QUEUE
    priority: Priority = 0


class BatchBody(RequestBody):
    """Jobs that have nothing to do with each other but their end."""

    name: WorkflowName | None = None
    jobs: Annotated[tuple[BatchJobBody, ...], Field(min_length=1, max_length=STEPS_MAX)]
    labels: Labels = Field(default_factory=dict, description="Every job gets them too.")


class RetryWorkflowBody(RequestBody):
    """From where to try again, and how much."""

    from_step: StepId | Literal["*"] | None = Field(
        default=None,
        description="This step and all after it are run again, besides what did not succeed; "
        "`*`: every step.",
    )
    whole_steps: bool = Field(
        default=False,
        description="Of the steps that are run again, run every job, not only those that did not "
        "succeed.",
    )


class WorkflowAccepted(BaseModel):
    """A workflow that is in the log."""

    workflow_id: UUID
    status: WorkflowStatus
    position: int = Field(description="Pass it as min_position to read your own write.")
    links: dict[str, str]
