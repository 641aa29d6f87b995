"""The facts of a job's life.

Life: scheduled → queued → running → (retrying → queued →)* succeeded | failed | cancelled.
Fields marked as sealed hold `SealedText` under the job's own key, with the field's name as context.
"""

from typing import Any, ClassVar

from events.contracts.fact import Fact, FirstFact


class JobSubmitted(FirstFact):
    """A client asked for a tool to be run on files."""

    TOPIC: ClassVar[str] = "magictoolbox.job.submitted"

    owner: str
    """The user whose job it is, as an opaque id."""
    tool: str
    tool_version: str
    queue: str
    priority: int
    options: str
    """Sealed: the options as canonical JSON."""
    inputs: list[dict[str, Any]]
    """`FileRef` objects, in the order the tool gets them."""
    run_at: str | None
    """Not before this time (ISO 8601, UTC); the job is scheduled until then."""
    labels: str | None
    """Sealed: the client's labels as a JSON object."""
    label_tokens: list[str]
    """Blind index of the labels: equal labels of one tenant have equal tokens."""
    attempts_max: int
    timeout_seconds: float
    retention_seconds: int
    """How long the outputs are kept after success."""
    queue_seconds_max: float | None = None
    """How long it may wait for its first start once it is queued; None: for ever."""
    retry: dict[str, Any] | None = None
    """How the tool's patience differs from the default one; see `RetryPolicy.terms`."""
    reservation: str | None = None
    """The id of the reservation that it took, if it is to be unique."""
    schedule: str | None = None
    """The id of the schedule that submitted it."""
    tick: str | None = None
    """The time of that schedule's plan that it stands for (ISO 8601, UTC)."""
    workflow: str | None = None
    """The id of the workflow whose step it is run for."""
    step: str | None = None
    """Which step of it."""
    limit_key: str | None = None
    """Blind token of the key under which it is limited together with others."""
    secrets: str | None = None
    """Sealed under a key of its own, which is deleted when the job ends: the secret options."""


class AttemptStarted(Fact):
    """A worker claimed the job: from here on only this lease may report an outcome."""

    TOPIC: ClassVar[str] = "magictoolbox.job.attempt_started"

    lease: int
    """Grows with every claim of this job; never falls."""
    attempt: int
    """How many attempts have counted, this one included."""
    worker: str
    """The worker's identity, new at each boot."""
    isolation: str = "unknown"
    """The level of isolation in effect."""
    tool_version: str | None = None
    """The version of the tool that runs; None: the one that the job was accepted with."""


class AttemptSucceeded(Fact):
    """The tool finished, its outputs are in the blob store: the job has succeeded."""

    TOPIC: ClassVar[str] = "magictoolbox.job.attempt_succeeded"

    lease: int
    outputs: list[dict[str, Any]]
    """`FileRef` objects; output names are sealed too, as they follow input names."""
    duration_ms: int
    expires_at: str
    """When the outputs may be deleted (ISO 8601, UTC)."""
    resources: dict[str, float]
    """Peaks of the attempt: `peak_rss_bytes`, `cpu_seconds`; empty where not measured."""
    notes: str | None = None
    """Sealed JSON: a list of what the owner should know about the outputs; None: nothing."""


class ResultReused(Fact):
    """The job got copies of what an earlier one made of the same request: it has succeeded."""

    TOPIC: ClassVar[str] = "magictoolbox.job.result_reused"

    source: str
    """The id of the job that made them."""
    outputs: list[dict[str, Any]]
    """`FileRef` objects, of copies that are this job's own."""
    expires_at: str
    """When the outputs may be deleted (ISO 8601, UTC)."""
    notes: str | None = None
    """As of `AttemptSucceeded`."""


class AttemptFailed(Fact):
    """The attempt ended without a result: the job retries, or has failed."""

    TOPIC: ClassVar[str] = "magictoolbox.job.attempt_failed"

    lease: int
    code: str
    """UPPER_SNAKE, stable."""
    message: str
    """Sealed: what went wrong, for the client."""
    permanent: bool
    """Whether another attempt could not help."""
    retry_at: str | None
    """When it is tried again (ISO 8601, UTC); None: the job has failed."""
    duration_ms: int
    resources: dict[str, float]


class AttemptExpired(Fact):
    """The worker fell silent for longer than its lease: the attempt is over."""

    TOPIC: ClassVar[str] = "magictoolbox.job.attempt_expired"

    lease: int
    requeued: bool
    """True: queued again at once; False: its attempts are used up, the job has failed."""


class AttemptHandedBack(Fact):
    """The worker is shutting down and returned the job; the attempt does not count."""

    TOPIC: ClassVar[str] = "magictoolbox.job.attempt_handed_back"

    lease: int


class JobDue(Fact):
    """The time of a scheduled or retrying job has come: it is queued."""

    TOPIC: ClassVar[str] = "magictoolbox.job.due"


class JobWaitExpired(Fact):
    """Nobody started the job within the time that it was allowed to wait: it has failed."""

    TOPIC: ClassVar[str] = "magictoolbox.job.wait_expired"

    waited_seconds: float
    """How long it was allowed to."""


class JobCancelled(Fact):
    """Somebody called the job off; a running attempt loses its lease."""

    TOPIC: ClassVar[str] = "magictoolbox.job.cancelled"


class JobReopened(Fact):
    """Somebody asked for a failed or cancelled job to be tried again, with fresh attempts."""

    TOPIC: ClassVar[str] = "magictoolbox.job.reopened"

    priority: int | None = None
    """The priority it was given since it was submitted; None: that of its submission."""


class OutcomeRefused(Fact):
    """A late outcome arrived under a lease that is no longer valid; it changed nothing."""

    TOPIC: ClassVar[str] = "magictoolbox.job.outcome_refused"

    lease: int
    outcome: str
    """`succeeded` or `failed`: what the late worker would have reported."""
    worker: str


class JobResultExpired(Fact):
    """The retention of the outputs is over; the files are deleted, the history stays."""

    TOPIC: ClassVar[str] = "magictoolbox.job.result_expired"

    blob_keys: list[str]


class JobReprioritised(Fact):
    """Somebody gave a job that had not started another priority."""

    TOPIC: ClassVar[str] = "magictoolbox.job.reprioritised"

    priority: int
