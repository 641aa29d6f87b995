"""What one may ask of schedules; see `commands`."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field, StringConstraints
from pydantic.dataclasses import dataclass

from command_api.commands import (
    FROZEN,
    INPUTS_MAX,
    Asked,
    IdempotencyKey,
    JobInput,
    Labels,
    Options,
    Priority,
    QueueName,
    Seconds,
    ToolName,
)
from events.contracts.values import DEFAULT_QUEUE
from events.domain.schedule import Missed, Plan

NAME_CHARACTERS_MAX: Final = 200

ScheduleName = Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARACTERS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTemplate:
    """The job that a schedule submits."""

    tool: ToolName
    options: Options = Field(default_factory=dict)
    queue: QueueName = DEFAULT_QUEUE
    priority: Priority = 0
    labels: Labels = Field(default_factory=dict)
    timeout_seconds: Seconds | None = None
    queue_seconds_max: Seconds | None = None
    inputs: Annotated[tuple[JobInput, ...], Field(max_length=INPUTS_MAX)] | None = None
    """None: those that the schedule has already, if any."""

    def words(self) -> list[Any]:
        """What makes two templates the same, beside their files."""
        budgets = [self.timeout_seconds, self.queue_seconds_max]
        return [self.tool, self.options, self.queue, self.priority, self.labels, *budgets]


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class CreateSchedule(Asked):
    """Submit a job by a plan."""

    name: ScheduleName
    plan: Plan
    job: JobTemplate
    idempotency_key: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class ChangeSchedule(Asked):
    """Give a schedule other terms; what is None stays as it is."""

    schedule_id: UUID
    name: ScheduleName | None = None
    cron: str | None = None
    zone: str | None = None
    missed: Missed | None = None
    job: JobTemplate | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class SteerSchedule(Asked):
    """Pause a schedule, resume it, or end it."""

    schedule_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class FireSchedule(Asked):
    """Submit the job of a schedule now."""

    schedule_id: UUID
    idempotency_key: IdempotencyKey | None = None
