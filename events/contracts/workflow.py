"""The facts of a workflow: steps that wait for each other, each run as one job or several.

Life: running → succeeded | failed | cancelled; whoever asks for it again reopens it, which begins
another round. Fields marked as sealed hold `SealedText` under the workflow's own key.
"""

from enum import StrEnum
from typing import Any, ClassVar, Final
from uuid import UUID, uuid5

from events.contracts.fact import Fact, FirstFact

_JOBS: UUID = UUID("0b3f0a52-5f5d-5c0e-9d0c-6c1f2f3b7e41")
"""The namespace of the ids of steps' jobs; permanent."""
_DERIVED: Final = 5
"""The version of a UUID that was made from a name."""


def step_job_id(workflow_id: UUID, step: str, round_: int, index: int) -> UUID:
    """The id of a step's job: the same for whoever starts it, so it can be started only once."""
    return uuid5(_JOBS, f"{workflow_id}\0{step}\0{round_}\0{index}")


def is_step_job(job_id: UUID) -> bool:
    """Whether the id is of the kind that only jobs of workflows have."""
    return job_id.version == _DERIVED


class WorkflowKind(StrEnum):
    """What was submitted."""

    WORKFLOW = "workflow"
    BATCH = "batch"
    """Steps that wait for nothing: all that is wanted is to know when all have ended."""


class WorkflowStatus(StrEnum):
    """Where a workflow is in its life."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens unless somebody asks for it."""
        return self is not WorkflowStatus.RUNNING


class StepStatus(StrEnum):
    """Where a step is in the latest round."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    """What it waited for did not come, or the workflow was stopped or cancelled before."""
    CANCELLED = "cancelled"
    """It ran when the workflow was cancelled."""


class OnFailure(StrEnum):
    """What a step that failed means for the others."""

    STOP = "stop"
    """No other step is started, but those that join always."""
    CONTINUE = "continue"
    """Steps that do not depend on it go on."""


class WorkflowSubmitted(FirstFact):
    """A client asked for steps to be run, each as soon as what it waits for has ended."""

    TOPIC: ClassVar[str] = "magictoolbox.workflow.submitted"

    owner: str
    """The user whose workflow it is, as an opaque id."""
    kind: str
    """A `WorkflowKind`."""
    name: str | None
    """Sealed, under field `name`."""
    on_failure: str
    """An `OnFailure`."""
    steps: list[dict[str, Any]]
    """`StepPlan` objects; options and names of files are sealed."""
    labels: str | None
    """Sealed: the client's labels as a JSON object; every job gets them too."""
    label_tokens: list[str]
    """Blind index of the labels: equal labels of one tenant have equal tokens."""


class StepStarted(Fact):
    """What the step waited for has come: its jobs were submitted in the same append."""

    TOPIC: ClassVar[str] = "magictoolbox.workflow.step_started"

    step: str
    round: int
    """Which time the workflow is run, from 1."""
    jobs: list[str]
    """Their ids; none if it is run for each output of a step that made none."""
    kept: list[str] | None = None
    """Those of its jobs that succeeded in an earlier round, and are not run again."""


class StepJobsEnded(Fact):
    """Some of the step's jobs have ended, and others have not."""

    TOPIC: ClassVar[str] = "magictoolbox.workflow.step_jobs_ended"

    step: str
    round: int
    ended: dict[str, str]
    """Job id → the status in which it ended."""


class StepEnded(Fact):
    """The last of the step's jobs has ended, or the step could not be started."""

    TOPIC: ClassVar[str] = "magictoolbox.workflow.step_ended"

    step: str
    round: int
    status: str
    """`succeeded` or `failed`."""
    code: str | None
    """Why it failed: UPPER_SNAKE, stable."""
    ended: dict[str, str]
    """Job id → the status in which it ended; those that had not ended before."""


class StepsSkipped(Fact):
    """These steps cannot be started any more in this round."""

    TOPIC: ClassVar[str] = "magictoolbox.workflow.steps_skipped"

    round: int
    skipped: list[str]


class WorkflowSucceeded(Fact):
    """Every step has ended, and every failure was provided for."""

    TOPIC: ClassVar[str] = "magictoolbox.workflow.succeeded"

    round: int
    counts: dict[str, int]
    """How many steps and jobs ended how."""


class WorkflowFailed(Fact):
    """Every step has ended, and a failure was not provided for."""

    TOPIC: ClassVar[str] = "magictoolbox.workflow.failed"

    round: int
    counts: dict[str, int]
    """How many steps and jobs ended how."""


class WorkflowCancelled(Fact):
    """Somebody called the workflow off: nothing more is started, what runs is called off too."""

    TOPIC: ClassVar[str] = "magictoolbox.workflow.cancelled"

    round: int
    counts: dict[str, int]
    """How many steps and jobs had ended how."""


class WorkflowReopened(Fact):
    """Somebody asked for a failed or cancelled workflow to be tried again."""

    TOPIC: ClassVar[str] = "magictoolbox.workflow.reopened"

    round: int
    """The round that begins."""
    again: list[str]
    """The steps that are run again; the others keep their results."""
    kept: dict[str, list[str | None]] | None = None
    """Step that is run again → its jobs in their order, those that keep their results; null where
    one is run again. All are, of a step that is not here."""
