"""What one may ask for: frozen, and valid as soon as it exists.

A command is the same whichever door it came through; its limits stand here once, and the HTTP
bodies use the same types. Who asks is part of it, whether that one may is for the handler.
"""

from collections.abc import Iterable
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any, Final, Literal, NewType
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, SecretStr, StringConstraints
from pydantic.dataclasses import dataclass

from command_api.accounts.names import Username
from events.contracts.bulk import BulkAction
from events.contracts.limit import LimitScope
from events.contracts.values import DEFAULT_QUEUE, JobStatus
from events.domain.limit import Bounds
from events.domain.reservation import Scope, Until
from infrastructure.http.incoming import ReceivedFile
from infrastructure.principals import Principal, Role

OPTIONS_DEPTH_MAX: Final = 16
OPTIONS_MEMBERS_MAX: Final = 1_000
INPUTS_MAX: Final = 100
LABELS_MAX: Final = 16
LABEL_NAME_CHARACTERS_MAX: Final = 64
LABEL_VALUE_CHARACTERS_MAX: Final = 256
PRIORITY_MAX: Final = 100
RUN_AT_DAYS_MAX: Final = 366
SECONDS_MAX: Final = RUN_AT_DAYS_MAX * 24 * 3600
UNIQUE_KEY_CHARACTERS_MAX: Final = 255
IDEMPOTENCY_KEY_CHARACTERS_MAX: Final = 255
LIMIT_KEY_CHARACTERS_MAX: Final = 255
LIMIT_MAX: Final = 1_000_000
OUTPUT_NAME_CHARACTERS_MAX: Final = 255

ToolName = NewType("ToolName", str)
"""A tool's name as a client wrote it; the catalogue says whether there is one."""


def _bounded(options: dict[str, Any]) -> dict[str, Any]:
    """JSON of limited depth and size, without the numbers that JSON does not have."""
    left = OPTIONS_MEMBERS_MAX
    level: list[Any] = [options]
    for _ in range(OPTIONS_DEPTH_MAX):
        members = [member for value in level for member in _members(value)]
        left -= len(members)
        if left < 0:
            raise ValueError(f"more than {OPTIONS_MEMBERS_MAX} values")
        if any(isinstance(member, float) and not isfinite(member) for member in members):
            raise ValueError("a number that is not finite")
        level = [member for member in members if isinstance(member, dict | list)]
        if not level:
            return options
    raise ValueError(f"nested more than {OPTIONS_DEPTH_MAX} deep")


def _members(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


Options = Annotated[dict[str, Any], AfterValidator(_bounded)]
QueueName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9](-?[a-z0-9])*$", max_length=63, strict=True)
]
Priority = Annotated[int, Field(ge=-PRIORITY_MAX, le=PRIORITY_MAX, strict=True)]
LabelName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=LABEL_NAME_CHARACTERS_MAX
    ),
]
LabelValue = Annotated[str, StringConstraints(max_length=LABEL_VALUE_CHARACTERS_MAX)]
Labels = Annotated[dict[LabelName, LabelValue], Field(max_length=LABELS_MAX)]
Seconds = Annotated[float, Field(gt=0, le=SECONDS_MAX, allow_inf_nan=False)]
Delay = Annotated[float, Field(ge=0, le=SECONDS_MAX, allow_inf_nan=False)]
UniqueKey = Annotated[
    str, StringConstraints(min_length=1, max_length=UNIQUE_KEY_CHARACTERS_MAX, strict=True)
]
LimitKey = Annotated[
    str, StringConstraints(min_length=1, max_length=LIMIT_KEY_CHARACTERS_MAX, strict=True)
]
JobsAtOnce = Annotated[int, Field(ge=1, le=LIMIT_MAX, strict=True)]
ErrorCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
OutputName = Annotated[str, StringConstraints(min_length=1, max_length=OUTPUT_NAME_CHARACTERS_MAX)]
IdempotencyKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^[\x21-\x7e]+$", min_length=1, max_length=IDEMPOTENCY_KEY_CHARACTERS_MAX
    ),
]

FROZEN = ConfigDict(arbitrary_types_allowed=True, revalidate_instances="never")


@dataclass(frozen=True, slots=True)
class UploadInput:
    """The file of an upload."""

    upload_id: UUID


@dataclass(frozen=True, slots=True)
class OutputInput:
    """A file that another job made."""

    job_id: UUID
    output: OutputName


@dataclass(frozen=True, slots=True, config=FROZEN)
class ReceivedInput:
    """A file that came with the request itself; its blob is nobody's until the job is recorded."""

    file: ReceivedFile


JobInput = UploadInput | OutputInput | ReceivedInput


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class Asked:
    """What every command has: who asks, and in which request."""

    principal: Principal
    request_id: str


class OnConflict(StrEnum):
    """What becomes of a job whose key is held by another."""

    RETURN_EXISTING = "return_existing"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Unique:
    """Of the jobs with this key there may be one at a time."""

    key: UniqueKey
    scope: Scope = Scope.TOOL
    until: Literal[Until.FINISHED, Until.STARTED] | Seconds = Until.FINISHED
    """Or for so many seconds from the submission."""
    on_conflict: OnConflict = OnConflict.RETURN_EXISTING


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class SubmitJob(Asked):
    """Run a tool on files."""

    tool: ToolName
    options: Options
    inputs: Annotated[tuple[JobInput, ...], Field(max_length=INPUTS_MAX)] = ()
    queue: QueueName = DEFAULT_QUEUE
    priority: Priority = 0
    run_at: AwareDatetime | None = None
    delay_seconds: Delay | None = None
    """In place of `run_at`: so long after it was accepted."""
    timeout_seconds: Seconds | None = None
    """How long an attempt may run; None: as long as the tool may."""
    queue_seconds_max: Seconds | None = None
    """How long it may wait for its first start; None: for ever."""
    unique: Unique | None = None
    limit_key: LimitKey | None = None
    """What it shares a limit with others by."""
    cache: bool = True
    """Whether the result of an earlier job will do."""
    labels: Labels = Field(default_factory=dict)
    idempotency_key: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class CancelJob(Asked):
    """Call a job off."""

    job_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class ReprioritiseJob(Asked):
    """Let a job that waits go before or after others."""

    job_id: UUID
    priority: Priority


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class SteerQueue(Asked):
    """Stop a queue of the tenant, or let it go on."""

    queue: QueueName
    pause: bool


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class SetLimit(Asked):
    """Limit how many jobs of the tenant run at once, or start in a while."""

    scope: LimitScope
    name: LimitKey | None
    """A tool, or a limit key; None: all jobs, or each limit key by itself."""
    bounds: Bounds


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class RemoveLimit(Asked):
    """Limit these jobs no more."""

    limit_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class RetryJob(Asked):
    """Try a failed or cancelled job again."""

    job_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class WantedJobs:
    """Which jobs: those that meet every condition that is set."""

    statuses: tuple[JobStatus, ...] = ()
    tool: ToolName | None = None
    queue: QueueName | None = None
    error_code: ErrorCode | None = None
    labels: Labels = Field(default_factory=dict)
    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class BulkJobs(Asked):
    """Cancel or retry all jobs that meet a filter."""

    action: BulkAction
    filter: WantedJobs
    dry_run: bool = False
    idempotency_key: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class CancelBulk(Asked):
    """Call a bulk operation off."""

    bulk_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class ReceiveUpload(Asked):
    """Keep a file for jobs to come."""

    file: ReceivedFile


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class CreateUser(Asked):
    """Let somebody in."""

    username: Username
    password: SecretStr
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True, config=FROZEN)
class ChangeUser(Asked):
    """Give a user another role or password, or shut or open the account."""

    user_id: UUID
    role: Role | None = None
    password: SecretStr | None = None
    is_disabled: bool | None = None
