"""What one may ask for: frozen, and valid as soon as it exists.

A command is the same whichever door it came through; its limits stand here once, and the HTTP
bodies use the same types. Who asks is part of it, whether that one may is for the handler.
"""

from collections.abc import Iterable
from math import isfinite
from typing import Annotated, Any, Final, NewType
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, SecretStr, StringConstraints
from pydantic.dataclasses import dataclass

from command_api.accounts.names import Username
from events.contracts.values import DEFAULT_QUEUE
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
IDEMPOTENCY_KEY_CHARACTERS_MAX: Final = 255
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
OutputName = Annotated[str, StringConstraints(min_length=1, max_length=OUTPUT_NAME_CHARACTERS_MAX)]
IdempotencyKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^[\x21-\x7e]+$", min_length=1, max_length=IDEMPOTENCY_KEY_CHARACTERS_MAX
    ),
]

_FROZEN = ConfigDict(arbitrary_types_allowed=True, revalidate_instances="never")


@dataclass(frozen=True, slots=True)
class UploadInput:
    """The file of an upload."""

    upload_id: UUID


@dataclass(frozen=True, slots=True)
class OutputInput:
    """A file that another job made."""

    job_id: UUID
    output: OutputName


@dataclass(frozen=True, slots=True, config=_FROZEN)
class ReceivedInput:
    """A file that came with the request itself; its blob is nobody's until the job is recorded."""

    file: ReceivedFile


JobInput = UploadInput | OutputInput | ReceivedInput


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class Asked:
    """What every command has: who asks, and in which request."""

    principal: Principal
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class SubmitJob(Asked):
    """Run a tool on files."""

    tool: ToolName
    options: Options
    inputs: Annotated[tuple[JobInput, ...], Field(max_length=INPUTS_MAX)] = ()
    queue: QueueName = DEFAULT_QUEUE
    priority: Priority = 0
    run_at: AwareDatetime | None = None
    labels: Labels = Field(default_factory=dict)
    idempotency_key: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class CancelJob(Asked):
    """Call a job off."""

    job_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class RetryJob(Asked):
    """Try a failed or cancelled job again."""

    job_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class ReceiveUpload(Asked):
    """Keep a file for jobs to come."""

    file: ReceivedFile


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class CreateUser(Asked):
    """Let somebody in."""

    username: Username
    password: SecretStr
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True, config=_FROZEN)
class ChangeUser(Asked):
    """Give a user another role or password, or shut or open the account."""

    user_id: UUID
    role: Role | None = None
    password: SecretStr | None = None
    is_disabled: bool | None = None
