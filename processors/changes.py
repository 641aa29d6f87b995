"""What a stretch of the log does to the tables of work, boiled down to its net effect.

A job that was submitted and ended within the stretch leaves no trace at all. For each job a stretch
holds one of three things: its whole row, a move of a row that is there already, or its end.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from processors.gates import Bound, Scope
from processors.lanes import LaneKey


class State(StrEnum):
    """What a job that has not ended is waiting for."""

    QUEUED = "queued"
    """For a worker."""
    RUNNING = "running"
    """For its worker's outcome."""
    DUE = "due"
    """For a time."""


class Timer(StrEnum):
    """What the clock may have to do at a time, beside what jobs and files ask for themselves."""

    WAIT = "wait"
    """End a job that nobody has started."""
    SCHEDULE = "schedule"
    """Submit the job of a schedule."""


TimerKey = tuple[Timer, UUID]
"""A timer, and the aggregate that it is about."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where one event took a job."""

    state: State
    version: int
    position: int
    since: datetime
    place: int | None = None
    """Its new place in the queue; None: the place that it had."""
    due_at: datetime | None = None
    lease: int | None = None
    """None: the lease that it had."""
    worker: str | None = None
    priority: int | None = None
    """Its new priority; None: the priority that it had."""


@dataclass(slots=True)
class WaitingJob:
    """What the dispatcher has to know of a job, apart from where it is."""

    job_id: UUID
    tenant: str
    queue: str
    priority: int
    tool: str
    timeout_seconds: float
    queue_seconds_max: float | None = None
    """How long it may wait for its first start; None: for ever."""
    limit_key: str = ""
    has_secrets: bool = False
    """Known only within the stretch in which it was submitted; no column."""

    @property
    def lane(self) -> LaneKey:
        """Where it waits."""
        return LaneKey(self.queue, self.priority, self.tenant, self.tool, self.limit_key)


@dataclass(slots=True)
class JobRow:
    """One row of `work.jobs`."""

    job: WaitingJob
    step: Step
    place: int
    lease: int = 0
    is_first: bool = False
    """Whether no row of this job was ever written."""

    def move(self, step: Step) -> None:
        """Let it go on; what the step leaves open stays as it was."""
        self.place = self.place if step.place is None else step.place
        self.lease = self.lease if step.lease is None else step.lease
        if step.priority is not None:
            self.job = replace(self.job, priority=step.priority)
        self.step = replace(step, place=self.place, lease=self.lease, priority=None)


@dataclass(frozen=True, slots=True)
class PausedQueue:
    """One row of `work.paused_queues`."""

    tenant: str
    queue: str


@dataclass(frozen=True, slots=True)
class SetLimit:
    """One row of `work.limits`."""

    scope: Scope
    bound: Bound


@dataclass(slots=True)
class Changes:
    """The net effect of the events up to a position."""

    rows: dict[UUID, JobRow] = field(default_factory=dict)
    steps: dict[UUID, Step] = field(default_factory=dict)
    ended: set[UUID] = field(default_factory=set)
    results: dict[UUID, datetime] = field(default_factory=dict)
    results_gone: set[UUID] = field(default_factory=set)
    uploads: dict[UUID, datetime] = field(default_factory=dict)
    uploads_gone: set[UUID] = field(default_factory=set)
    timers: dict[TimerKey, datetime] = field(default_factory=dict)
    timers_gone: set[TimerKey] = field(default_factory=set)
    secrets_gone: set[UUID] = field(default_factory=set)
    """Workflows and schedules that ended, and jobs that came and ended within the stretch; those in
    `ended` lose their secrets too.
    """
    limits: dict[UUID, SetLimit | None] = field(default_factory=dict)
    """None: removed."""
    pauses: dict[UUID, PausedQueue | None] = field(default_factory=dict)
    """None: resumed."""

    def __len__(self) -> int:
        """How many rows it touches."""
        jobs = len(self.rows) + len(self.steps) + len(self.ended)
        results = len(self.results) + len(self.results_gone)
        uploads = len(self.uploads) + len(self.uploads_gone)
        timers = len(self.timers) + len(self.timers_gone)
        steering = len(self.limits) + len(self.pauses)
        return jobs + results + uploads + timers + steering + len(self.secrets_gone)

    def enter(self, row: JobRow) -> None:
        """A job came in, or came back."""
        job_id = row.job.job_id
        self.steps.pop(job_id, None)
        self.ended.discard(job_id)
        self.rows[job_id] = row

    def move(self, job_id: UUID, step: Step) -> None:
        """A job went on."""
        row = self.rows.get(job_id)
        if row is None:
            self.steps[job_id] = _after(self.steps.get(job_id), step)
            return
        if step.state is State.RUNNING:
            # A row that is in the tables already takes its timer with it; see PERSIST.
            self.drop_timer(Timer.WAIT, job_id, was_written=not row.is_first)
        row.move(step)

    def end(self, job_id: UUID) -> None:
        """A job has ended."""
        row = self.rows.pop(job_id, None)
        self.steps.pop(job_id, None)
        self.timers.pop((Timer.WAIT, job_id), None)
        if row is None or not row.is_first:
            self.ended.add(job_id)
        elif row.job.has_secrets:
            self.secrets_gone.add(job_id)

    def keep_result(self, job_id: UUID, expires_at: datetime) -> None:
        """Outputs exist until then."""
        self.results_gone.discard(job_id)
        self.results[job_id] = expires_at

    def drop_result(self, job_id: UUID) -> None:
        """The outputs are given up."""
        self.results.pop(job_id, None)
        self.results_gone.add(job_id)

    def keep_upload(self, upload_id: UUID, expires_at: datetime) -> None:
        """An upload exists until then."""
        self.uploads[upload_id] = expires_at

    def drop_upload(self, upload_id: UUID) -> None:
        """The upload is given up."""
        self.uploads.pop(upload_id, None)
        self.uploads_gone.add(upload_id)

    def set_timer(self, timer: Timer, subject_id: UUID, at: datetime) -> None:
        """Something may have to be done about it then."""
        self.timers_gone.discard((timer, subject_id))
        self.timers[timer, subject_id] = at

    def drop_timer(self, timer: Timer, subject_id: UUID, *, was_written: bool = True) -> None:
        """There is nothing to be done about it any more."""
        self.timers.pop((timer, subject_id), None)
        if was_written:
            self.timers_gone.add((timer, subject_id))


def _after(earlier: Step | None, step: Step) -> Step:
    """A step that says what it leaves open as the step before it said."""
    if earlier is None:
        return step
    return replace(
        step,
        place=earlier.place if step.place is None else step.place,
        lease=earlier.lease if step.lease is None else step.lease,
        priority=earlier.priority if step.priority is None else step.priority,
    )
