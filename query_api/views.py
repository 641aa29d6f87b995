"""What the API shows: the shapes of its answers, and nothing of how they were found."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from events.contracts.bulk import BulkAction, BulkStatus
from events.contracts.values import JobStatus


class View(BaseModel):
    """The base of every answer."""

    model_config = ConfigDict(frozen=True)


class FileView(View):
    """A file, by what is known of it."""

    name: str = Field(description="`(erased)` where the personal data of the job were erased.")
    media_type: str
    size_bytes: int
    sha256: str


class OutputView(FileView):
    """A file that the tool made."""

    url: str | None = Field(description="Where its bytes are; null once expired or erased.")


class ErrorView(View):
    """Why the job failed, or why its latest attempt did."""

    code: str
    message: str | None


class ProgressView(View):
    """How far the running attempt is, as its worker told last."""

    percent: float
    message: str | None


class JobView(View):
    """A job as its latest event left it."""

    job_id: UUID
    tool: str
    tool_version: str
    status: JobStatus
    owner: str
    queue: str
    priority: int
    attempt: int = Field(description="Attempts that counted so far.")
    attempts_max: int
    worker: str | None = Field(description="Of the latest attempt.")
    progress: ProgressView | None = Field(description="Only while it runs, and if it tells.")
    labels: dict[str, Any] | None
    inputs: list[FileView]
    outputs: list[OutputView]
    notes: list[str] = Field(
        description="What the tool has to say about the outputs, such as an encoding that it found."
    )
    error: ErrorView | None
    request_id: str = Field(description="Of the request that submitted it.")
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None = Field(description="When a scheduled or retrying job runs next.")
    expires_at: datetime | None = Field(description="When the outputs are deleted.")
    result_expired: bool
    duration_ms: int | None
    timeout_seconds: float = Field(description="How long one attempt may run.")
    queue_seconds_max: float | None = Field(
        description="How long it may wait for its first start; null: for ever."
    )
    schedule_id: UUID | None = Field(description="The schedule that submitted it.")
    reused_from: UUID | None = Field(description="The job whose result it got, without a run.")
    workflow_id: UUID | None = Field(description="The workflow that it is a part of.")
    step: str | None = Field(description="The step of that workflow.")
    version: int = Field(description="Of the job: its number of events.")
    position: int = Field(description="Of its latest event in the log.")
    links: dict[str, str]


class JobDetailView(JobView):
    """One job with everything that is known of it."""

    options: dict[str, Any] | None = Field(
        description="Without the secret ones, which nobody is shown."
    )


class JobPage(View):
    """Jobs, newest first."""

    items: list[JobView]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


class EventView(View):
    """Something that happened to a job."""

    position: int = Field(description="Its place in the log of the whole platform.")
    version: int = Field(description="Its place in the history of the job, from 1.")
    topic: str
    actor: str
    occurred_at: datetime
    recorded_at: datetime
    details: dict[str, Any]


class EventPage(View):
    """A part of a job's history, oldest first."""

    items: list[EventView]
    next_after: int | None = Field(description="`after` for the next part; null on the last one.")


class AttemptView(View):
    """One try of a worker."""

    number: int = Field(description="Its lease: grows with every claim of the job.")
    counted_as: int = Field(description="The how-manieth attempt it was, of those that count.")
    worker: str
    isolation: str
    tool_version: str | None = Field(
        description="Of the tool that ran; another than the job's where no worker had that one."
    )
    waited_ms: int | None = Field(description="In the queue before it; null if that is unknown.")
    started_at: datetime
    ended_at: datetime | None
    outcome: str = Field(
        description="`running`, `succeeded`, `failed`, `worker_lost`, `handed_back`, `cancelled`."
    )
    duration_ms: int | None
    error: ErrorView | None
    permanent: bool | None
    retry_at: datetime | None
    resources: dict[str, float] = Field(description="Peaks; empty where not measured.")
    late_outcome_refused: bool = Field(description="Whether its worker came back too late.")


class AttemptLogView(View):
    """What the tool printed and logged in one attempt."""

    number: int = Field(description="Of the attempt: its lease.")
    text: str | None = Field(description="Null where the personal data of the job were erased.")
    is_cut: bool = Field(description="Whether there was more than is kept or shown.")
    written_at: datetime
    expires_at: datetime


class JobReportView(View):
    """All that is known of how a job went."""

    job: JobDetailView
    reason: ErrorView | None = Field(description="Why it failed, or why its last attempt did.")
    request_id: str
    queue_wait_ms: int = Field(description="In all attempts together.")
    run_ms: int = Field(description="In all attempts together.")
    attempts: list[AttemptView]
    log: AttemptLogView | None = Field(description="The end of the latest one there is.")
    timeline: list[EventView]
    timeline_is_cut: bool


class BulkFilterView(View):
    """Which jobs a bulk operation is about."""

    status: list[JobStatus]
    owner: str | None = Field(description="Null: of everybody in the tenant.")
    tool: str | None
    queue: str | None
    error_code: str | None
    labels: dict[str, Any] | None
    created_after: datetime | None
    created_before: datetime | None


class BulkView(View):
    """Many jobs cancelled or tried again by one request."""

    bulk_id: UUID
    action: BulkAction
    status: BulkStatus
    owner: str = Field(description="Who asked for it.")
    dry_run: bool
    filter: BulkFilterView
    matched: int = Field(description="Jobs so far that met the filter when it was their turn.")
    changed: int
    skipped: int = Field(
        description="Jobs so far that met it no more when it was their turn, or that their "
        "workflow is to try again."
    )
    requested_at: datetime
    progressed_at: datetime | None
    ended_at: datetime | None
    version: int
    position: int
    links: dict[str, str]


class BulkPage(View):
    """Bulk operations, newest first."""

    items: list[BulkView]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


class ToolRetryView(View):
    """How patient the platform is with a tool's transient failures."""

    first_seconds: float = Field(description="The wait before the second attempt.")
    factor: float = Field(description="How much longer each further wait is.")
    cap_seconds: float = Field(description="No wait is longer.")
    jitter: float = Field(description="Waits differ by this part of them, up or down.")
    budget_seconds: float | None = Field(
        description="No attempt begins later after the first one; null: there is no such end."
    )


class ToolView(View):
    """A tool that workers offer."""

    name: str
    version: str
    description: str
    input_formats: list[str] = Field(description="Media types; `*/*` takes anything.")
    output_formats: list[str]
    inputs_min: int
    inputs_max: int
    options_schema: dict[str, Any] = Field(description="JSON schema of the options.")
    attempts_max: int
    timeout_seconds: float
    available: bool
    unavailable_reason: str | None
    cacheable: bool = Field(
        description="Whether the same files and options may get an earlier result."
    )
    retry: ToolRetryView | None = Field(
        description="Null where the tables do not have it yet; `attempts_max` goes with it."
    )
    links: dict[str, str]


class ToolPage(View):
    """Every tool, by name."""

    items: list[ToolView]


class QueueView(View):
    """A queue of the tenant."""

    name: str
    paused: bool
    depth: int = Field(description="Jobs that could run and do not yet.")
    running: int
    scheduled: int
    retrying: int
    oldest_at: datetime | None = Field(description="Since when the oldest of `depth` waits.")


class QueuePage(View):
    """Every queue, by name."""

    items: list[QueueView]


class LimitView(View):
    """A limit of the tenant."""

    limit_id: UUID
    scope: str
    name: str | None = Field(description="The tool or limit key; null: all of them, or each.")
    concurrency: int | None
    rate: int | None
    per_seconds: float | None


class LimitPage(View):
    """Every limit, by scope."""

    items: list[LimitView]


class ToolStats(View):
    """The jobs of one tool."""

    tool: str
    jobs: dict[JobStatus, int] = Field(description="How many are in each state now.")


class OutcomeStats(View):
    """What happened in the last 24 hours."""

    submitted: int
    succeeded: int
    failed: int
    cancelled: int
    success_ratio: float | None = Field(description="Of those that succeeded or failed.")
    duration_ms_mean: float | None = Field(description="Of the attempts that succeeded.")


class OverviewView(View):
    """The tenant's jobs in numbers."""

    jobs: dict[JobStatus, int] = Field(description="How many are in each state now.")
    tools: list[ToolStats]
    last_24_hours: OutcomeStats


class WorkerView(View):
    """A worker, as it said last."""

    worker: str = Field(description="Its identity, new at each start.")
    host: str
    process: int
    version: str
    isolation: str = Field(description="Of its sandbox: L0 none … L3 whole.")
    status: str = Field(description="`working` or `draining`.")
    slots: int
    used: int
    free: int
    sandboxes: int = Field(description="Slots for tools that need a sandbox.")
    sandboxes_used: int
    jobs: list[UUID] = Field(description="Of your tenant; new ones show after a beat.")
    started_at: datetime
    seen_at: datetime


class WorkerPage(View):
    """Every worker that is there, oldest first."""

    items: list[WorkerView]


class ProjectionView(View):
    """How far one projection is."""

    name: str
    position: int
    lag: int = Field(description="Events of the log that it has not applied.")
    updated_at: datetime | None = Field(description="Null where it is not kept.")


class ProjectionPage(View):
    """Every projection, by name."""

    head: int = Field(description="The position of the newest event.")
    items: list[ProjectionView]
