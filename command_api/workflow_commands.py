"""What one may ask for of workflows: frozen, and valid as soon as it exists."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field, PlainSerializer, PlainValidator, StringConstraints, WithJsonSchema
from pydantic.dataclasses import dataclass

from command_api.commands import (
    FROZEN,
    INPUTS_MAX,
    Asked,
    IdempotencyKey,
    Labels,
    Options,
    OutputInput,
    OutputName,
    Priority,
    QueueName,
    ToolName,
    UploadInput,
)
from events.contracts.values import DEFAULT_QUEUE
from events.contracts.workflow import OnFailure, WorkflowKind
from events.domain.workflow_plan import STEPS_MAX, Join, Policy

STEP_ID_CHARACTERS_MAX: Final = 64
NAME_CHARACTERS_MAX: Final = 200
EVERY_OUTPUT: Final = "*"
NAMED: Final = (Policy.ALL, Policy.ANY, Policy.ALWAYS)

StepId = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=STEP_ID_CHARACTERS_MAX, strict=True
    ),
]
WorkflowName = Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARACTERS_MAX)]


def _join(value: Any) -> Join:
    """Read a policy: its name, or `{"at_least": n}`."""
    if isinstance(value, Join):
        return value
    if isinstance(value, str) and value in NAMED:
        return Join(Policy(value))
    if isinstance(value, dict) and set(value) == {Policy.AT_LEAST.value}:
        least = value[Policy.AT_LEAST.value]
        if type(least) is int and 1 <= least <= STEPS_MAX:
            return Join(Policy.AT_LEAST, least)
        raise ValueError(f"at_least is a whole number from 1 to {STEPS_MAX}")
    raise ValueError('"all", "any", "always" or {"at_least": n}')


def _shown(join: Join) -> Any:
    """The form that `_join` reads."""
    stored = join.as_json()
    return {Policy.AT_LEAST.value: stored} if isinstance(stored, int) else stored


JoinPolicy = Annotated[
    Join,
    PlainValidator(_join),
    PlainSerializer(_shown),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": [policy.value for policy in NAMED]},
                {
                    "type": "object",
                    "properties": {
                        "at_least": {"type": "integer", "minimum": 1, "maximum": STEPS_MAX}
                    },
                    "required": ["at_least"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What another step makes."""

    step: StepId
    output: OutputName | Literal["*"] = EVERY_OUTPUT


StepSource = UploadInput | OutputInput | StepOutput


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class StepRequest:
    """One step."""

    id: StepId
    tool: ToolName
    options: Options = Field(default_factory=dict)
    inputs: Annotated[tuple[StepSource, ...], Field(max_length=INPUTS_MAX)] = ()
    after: Annotated[tuple[StepId, ...], Field(max_length=STEPS_MAX)] = ()
    for_each: StepId | None = None
    join: JoinPolicy = Join()
    quorum: JoinPolicy = Join()
    queue: QueueName = DEFAULT_QUEUE
    priority: Priority = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class SubmitWorkflow(Asked):
    """Run steps, each as soon as what it waits for has ended."""

    steps: Annotated[tuple[StepRequest, ...], Field(min_length=1, max_length=STEPS_MAX)]
    kind: WorkflowKind = WorkflowKind.WORKFLOW
    name: WorkflowName | None = None
    on_failure: OnFailure = OnFailure.STOP
    labels: Labels = Field(default_factory=dict)
    idempotency_key: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class CancelWorkflow(Asked):
    """Call a workflow off."""

    workflow_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class RetryWorkflow(Asked):
    """Run again what did not succeed of a workflow, and what is named, with all after it."""

    workflow_id: UUID
    from_step: StepId | Literal["*"] | None = None
    whole_steps: bool = False
