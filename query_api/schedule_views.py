"""What the API shows of schedules; see `views`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from events.contracts.values import JobStatus
from query_api.views import FileView, View


class SkippedTickView(View):
    """A time of the plan that got no job."""

    tick: datetime | None = Field(description="Null if it was before times were noted.")
    reason: str = Field(
        description="`TOOL_NOT_FOUND`, `TOOL_UNAVAILABLE`, or `MISSED`: it was late, and "
        "`missed` says `skip`."
    )


class ScheduleView(View):
    """A job that is submitted by a plan."""

    schedule_id: UUID
    name: str
    status: str = Field(description="`active` or `paused`.")
    owner: str
    cron: str
    time_zone: str
    missed: str
    tool: str
    next_at: datetime | None = Field(description="Null while it is paused.")
    last_fired_at: datetime | None
    last_job_id: UUID | None
    fired: int = Field(description="How many jobs it has submitted.")
    passed_over: int = Field(description="How many of its times got no job of their own.")
    last_skip: SkippedTickView | None = Field(
        description="The latest time of its plan, if that got no job."
    )
    created_at: datetime
    changed_at: datetime
    version: int
    position: int
    links: dict[str, str]


class ScheduleTemplateView(View):
    """The job that a schedule submits."""

    tool: str
    options: dict[str, Any] | None = Field(
        description="Without the secret ones, which nobody is shown."
    )
    queue: str
    priority: int
    labels: dict[str, Any] | None
    inputs: list[FileView] = Field(description="Kept until it is deleted or gets others.")
    timeout_seconds: float | None
    queue_seconds_max: float | None


class JobOfScheduleView(View):
    """A job that a schedule submitted."""

    job_id: UUID
    status: JobStatus
    created_at: datetime
    finished_at: datetime | None
    links: dict[str, str]


class ScheduleDetailView(ScheduleView):
    """One schedule with everything that is known of it."""

    job: ScheduleTemplateView
    next_fires: list[datetime]
    latest_jobs: list[JobOfScheduleView] = Field(description="Newest first.")


class SchedulePage(View):
    """Schedules, newest first."""

    items: list[ScheduleView]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")
