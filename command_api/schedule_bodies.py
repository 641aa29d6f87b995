"""The shapes of requests and answers about schedules; see `bodies`."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from command_api.bodies import OutputInputBody, RequestBody, UploadInputBody
from command_api.commands import (
    INPUTS_MAX,
    Labels,
    Options,
    Priority,
    QueueName,
    Seconds,
    ToolName,
)
from command_api.schedule_commands import JobTemplate, ScheduleName
from events.contracts.timetable import CRON_CHARACTERS_MAX, ZONE_CHARACTERS_MAX
from events.contracts.values import DEFAULT_QUEUE
from events.domain.schedule import Missed, Plan, ScheduleStatus


class JobTemplateBody(RequestBody):
    """The job that a schedule submits."""

    tool: ToolName = Field(examples=["no-op"])
    options: Options = Field(
        default_factory=dict,
        description="In a change of a job of the same tool, a secret option that is absent stays "
        "as it is; null takes it away.",
    )
    queue: QueueName = DEFAULT_QUEUE
    priority: Priority = 0
    labels: Labels = Field(default_factory=dict)
    timeout_seconds: Seconds | None = None
    queue_seconds_max: Seconds | None = None
    inputs: (
        Annotated[tuple[UploadInputBody | OutputInputBody, ...], Field(max_length=INPUTS_MAX)]
        | None
    ) = Field(
        default=None,
        description="Copied, and kept until the schedule is deleted or gets others; absent in a "
        "change: it keeps those that it has.",
    )

    def asked(self) -> JobTemplate:
        """As a command says it."""
        terms = {name: getattr(self, name) for name in type(self).model_fields}
        files = None if self.inputs is None else tuple(each.asked() for each in self.inputs)
        return JobTemplate(**terms | {"inputs": files})


class ScheduleBody(RequestBody):
    """A job to be submitted by a plan."""

    name: ScheduleName
    cron: str = Field(
        max_length=CRON_CHARACTERS_MAX,
        description="Minute, hour, day, month, day of week.",
        examples=["30 6 * * MON-FRI"],
    )
    time_zone: str = Field(
        default="UTC", max_length=ZONE_CHARACTERS_MAX, examples=["Europe/Vienna"]
    )
    missed: Missed = Field(
        default=Missed.COALESCE,
        description="What becomes of times that passed while nobody looked: one job for all of "
        "them, one for each of the latest, or none.",
    )
    job: JobTemplateBody

    def plan(self) -> Plan:
        """As the domain says it."""
        return Plan(self.cron, self.time_zone, self.missed)


class ScheduleChangeBody(RequestBody):
    """What is to be different; absent fields stay as they are.

    A job is given whole, but for its files and its secret options, which stay unless it names them.
    """

    name: ScheduleName | None = None
    cron: str | None = Field(default=None, max_length=CRON_CHARACTERS_MAX)
    time_zone: str | None = Field(default=None, max_length=ZONE_CHARACTERS_MAX)
    missed: Missed | None = None
    job: JobTemplateBody | None = None


class ScheduleKept(BaseModel):
    """A schedule as the log has it now."""

    schedule_id: UUID
    status: ScheduleStatus
    position: int = Field(description="Pass it as min_position to read your own write.")
    links: dict[str, str]
