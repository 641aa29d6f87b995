"""The shapes of requests and answers over HTTP; unknown fields are refused.

They use the types of `commands`, so that a limit stands in one place, and hold no tenant: that is
the token's to say.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from command_api.accounts.names import Username
from command_api.commands import (
    INPUTS_MAX,
    LABELS_MAX,
    Delay,
    ErrorCode,
    Labels,
    LimitKey,
    OnConflict,
    Options,
    OutputInput,
    OutputName,
    Priority,
    QueueName,
    Seconds,
    ToolName,
    Unique,
    UniqueKey,
    UploadInput,
    WantedJobs,
)
from events.contracts.bulk import BulkAction, BulkStatus
from events.contracts.values import DEFAULT_QUEUE, JobStatus
from events.domain.reservation import Scope, Until
from infrastructure.principals import Role


class RequestBody(BaseModel):
    """The base of what clients send."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _listed(value: Any) -> Any:
    """One value as a list of one."""
    return [value] if isinstance(value, str) else value


class UploadInputBody(RequestBody):
    """A file that was uploaded before."""

    upload_id: UUID

    def asked(self) -> UploadInput:
        """As a command says it."""
        return UploadInput(self.upload_id)


class OutputInputBody(RequestBody):
    """A file that another job made."""

    job_id: UUID
    output: OutputName

    def asked(self) -> OutputInput:
        """As a command says it."""
        return OutputInput(self.job_id, self.output)


class UniqueBody(RequestBody):
    """Of the jobs with this key there may be one at a time."""

    key: UniqueKey
    scope: Scope = Field(default=Scope.TOOL, description="Among which jobs of the tenant.")
    until: Literal[Until.FINISHED, Until.STARTED] | Seconds = Field(
        default=Until.FINISHED, description="Or for so many seconds from the submission."
    )
    on_conflict: OnConflict = OnConflict.RETURN_EXISTING

    def asked(self) -> Unique:
        """As a command says it."""
        return Unique(self.key, self.scope, self.until, self.on_conflict)


class RunBody(RequestBody):
    """When a job is to run, how long it may take, and whether it has to run at all."""

    run_at: AwareDatetime | None = Field(default=None, description="Not before this time.")
    delay_seconds: Delay | None = Field(default=None, description="In place of `run_at`.")
    timeout_seconds: Seconds | None = Field(
        default=None, description="How long an attempt may run; within the tool's own limit."
    )
    queue_seconds_max: Seconds | None = Field(
        default=None, description="Fail with QUEUE_TIMEOUT unless it is started within this time."
    )
    unique: UniqueBody | None = None
    limit_key: LimitKey | None = Field(
        default=None, description="Jobs of one key share a limit; see /limits."
    )
    cache: bool = Field(default=True, description="False: run even if there is a result.")

    def terms(self) -> dict[str, Any]:
        """As a command says them."""
        return {
            "run_at": self.run_at,
            "delay_seconds": self.delay_seconds,
            "timeout_seconds": self.timeout_seconds,
            "queue_seconds_max": self.queue_seconds_max,
            "unique": None if self.unique is None else self.unique.asked(),
            "limit_key": self.limit_key,
            "cache": self.cache,
        }

    @field_validator("delay_seconds")
    @classmethod
    def _one_time_only(cls, delay: float | None, info: ValidationInfo) -> float | None:
        if delay is not None and info.data.get("run_at") is not None:
            raise ValueError("give either run_at or delay_seconds")
        return delay


class JobBody(RunBody):
    """A job to run."""

    tool: ToolName = Field(examples=["image-converter"])
    options: Options = Field(default_factory=dict, examples=[{"output_format": "webp"}])
    inputs: Annotated[
        tuple[UploadInputBody | OutputInputBody, ...], Field(max_length=INPUTS_MAX)
    ] = ()
    queue: QueueName = DEFAULT_QUEUE
    priority: Priority = 0
    labels: Labels = Field(default_factory=dict)


class JobChangeBody(RequestBody):
    """What is to be different about a job that waits."""

    priority: Priority


class ToolProcessRequest(RunBody):
    """One file in base64, for clients that cannot send multipart; here for the document only.

    The body is read as a stream, so that the file is never whole in memory.
    """

    file_data: str | None = Field(
        default=None, description="The file in base64; some tools take none."
    )
    filename: str | None = None
    options: Options = Field(default_factory=dict)


class ProcessFields(RunBody):
    """What may come beside the files; the receiver has used the name already."""

    filename: str | None = None
    options: Options = Field(default_factory=dict)


class OutputBody(BaseModel):
    """A file that a job made."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    url: str


class JobAccepted(BaseModel):
    """A job that is in the log."""

    job_id: UUID
    status: JobStatus
    position: int = Field(description="Pass it as min_position to read your own write.")
    links: dict[str, str]
    is_duplicate: bool = Field(
        default=False, description="Nothing new: the job that holds the unique key."
    )


class ToolProcessResponse(JobAccepted):
    """What became of files that were sent to a tool."""

    task_id: UUID = Field(description="The same as job_id.")
    result_url: str | None = Field(default=None, description="Null until the job has succeeded.")
    outputs: list[OutputBody] = Field(default_factory=list)
    notes: list[str] = Field(
        default_factory=list, description="What the tool has to say about the outputs."
    )


class BulkFilterBody(RequestBody):
    """Which jobs: those that meet every condition that is set; an empty filter means all."""

    status: Annotated[
        tuple[JobStatus, ...], BeforeValidator(_listed), Field(max_length=len(JobStatus))
    ] = Field(default=(), description="Any of these; by default all that the action can be for.")
    tool: ToolName | None = None
    queue: QueueName | None = None
    label: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(max_length=LABELS_MAX)] = (
        Field(default=(), description="`name:value`; all of these.")
    )
    error_code: ErrorCode | None = None
    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None

    @field_validator("label")
    @classmethod
    def _named(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if not all(":" in label for label in labels):
            raise ValueError("a label is name:value")
        return labels

    def wanted(self) -> WantedJobs:
        """The same as a command has it."""
        return WantedJobs(
            statuses=self.status,
            tool=self.tool,
            queue=self.queue,
            error_code=self.error_code,
            labels={name: value for name, _, value in (e.partition(":") for e in self.label)},
            created_after=self.created_after,
            created_before=self.created_before,
        )


class BulkBody(RequestBody):
    """Many jobs to be cancelled or tried again."""

    action: BulkAction
    filter: BulkFilterBody
    dry_run: bool = Field(default=False, description="Only count the jobs.")


class BulkAccepted(BaseModel):
    """A bulk operation that is in the log."""

    bulk_id: UUID
    action: BulkAction
    status: BulkStatus
    dry_run: bool
    matched: int = Field(description="Jobs so far that met the filter; of a dry run the result.")
    changed: int
    skipped: int = Field(description="Jobs so far that met it no more when it was their turn.")
    position: int
    links: dict[str, str]


class UploadBody(BaseModel):
    """A file that waits to be the input of jobs."""

    upload_id: UUID
    sha256: str
    size_bytes: int
    media_type: str
    filename: str
    expires_at: datetime


class TokenBody(BaseModel):
    """What a login gives."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the scheme's name
    expires_in: int
    refresh_token: str


class RefreshBody(BaseModel):
    """A refresh token, to be traded or revoked; what else OAuth 2 clients send is left aside."""

    refresh_token: str = Field(
        min_length=1,
        max_length=256,
        validation_alias=AliasChoices("refresh_token", "token"),
    )


class NewUserBody(RequestBody):
    """A user to let in."""

    username: Username
    password: SecretStr
    role: Role = Role.CLIENT


class UserChangeBody(RequestBody):
    """What is to be different; absent fields stay as they are."""

    role: Role | None = None
    password: SecretStr | None = None
    disabled: bool | None = Field(default=None, strict=True)


class UserBody(BaseModel):
    """A user as others see it."""

    user_id: UUID
    tenant: str
    username: str
    role: Role
    disabled: bool
    created_at: datetime
    updated_at: datetime


class UsersBody(BaseModel):
    """A page of users, by name."""

    items: list[UserBody]
    next_cursor: str | None = Field(description="Pass it as cursor; null on the last page.")
