"""The plug-in interface of tools: what a tool declares, what it is given, what it gives back.

A tool sees paths and options, nothing else: no job, no queue, no database. It may be called in a
confined process that is killed at any moment, so it keeps no state between calls. Whoever calls it
checks the options against its model before, and the outputs against its promises after. Plug-ins
install an entry point in the group `magictoolbox.tools` that names a subclass of `BaseTool`;
INTERFACE_VERSION grows when what is written against an older one would break.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

INTERFACE_VERSION = 1
MIB = 1024**2
GENERAL = "general"
"""The group of tools that name none; its process is there as long as the worker."""
RETRY_SECONDS_MAX = 7 * 24 * 3600.0
RETRY_FACTOR_MAX = 10.0
CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")

Progress = Callable[[float, str], None]
"""Takes the fraction done (0 to 1) and a few words; may be called often, from any thread."""

LogLine = Callable[[str], None]
"""Takes a line for the log of the attempt, which the job's owner can read."""


def not_logged(line: str) -> None:
    """Let a line go; for callers who keep no log."""


def _with_examples(schema: dict[str, Any]) -> None:
    """Where a field's schema lists all its values they are its examples."""
    for field in schema.get("properties", {}).values():
        if values := _values(field):
            field.setdefault("examples", values)


def _values(field: Mapping[str, Any]) -> list[Any]:
    if field.get("type") == "boolean":
        return [True, False]
    choices = [value for choice in field.get("anyOf", ()) for value in _values(choice)]
    return list(field.get("enum", choices))


class ToolOptions(BaseModel):
    """The base of a tool's options; all have defaults, so that a file alone is a valid request.

    Titles, descriptions, units, examples and limits of the fields become the form that people fill
    in; `processors.tools.options` helps to say them. A field that holds a secret is a `SecretStr`.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, json_schema_extra=_with_examples
    )


@dataclass(frozen=True, slots=True)
class ToolLimits:
    """What one run may use; whoever runs the tool enforces it."""

    wall_seconds: float = 120.0
    cpu_seconds: int = 60
    """Of each process; an endless loop ends here, however busy the machine is."""
    memory_bytes: int = 1024 * MIB
    """What all processes of the run may hold together."""
    file_bytes: int = 256 * MIB
    """Of any one file that the run writes."""
    outputs_bytes: int = 256 * MIB
    """Of everything that lies in the run's folder at one time."""
    outputs_max: int = 1
    inputs_min: int = 1
    inputs_max: int = 1
    attempts_max: int = 5
    processes_max: int = 1
    """Processes of the run at one time, the first one included; threads are not counted."""


@dataclass(frozen=True, slots=True)
class ToolRetries:
    """How patient the platform is with failures that are not permanent, beside `attempts_max`."""

    first_seconds: float = 2.0
    """The wait before the second attempt; each further one is `factor` times as long."""
    factor: float = 2.0
    cap_seconds: float = 600.0
    jitter: float = 0.5
    """Each wait is made longer or shorter at random by up to this part of it."""
    budget_seconds: float | None = None
    """No attempt begins later than so long after the first one did; None: there is no such end."""

    def __post_init__(self) -> None:
        budget = self.budget_seconds
        sound = (
            0 <= self.first_seconds <= self.cap_seconds <= RETRY_SECONDS_MAX
            and 1 <= self.factor <= RETRY_FACTOR_MAX
            and 0 <= self.jitter <= 1
            and (budget is None or 0 <= budget <= RETRY_SECONDS_MAX)
        )
        if not sound:
            raise ValueError(f"no tool can be that patient: {self}")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to be processed: read-only, at a path that says nothing of its name or type."""

    path: Path
    filename: str
    """What its owner called it: for display, never for a path."""
    media_type: str
    """What its first bytes look like; the tool still has to parse it to know."""
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ToolInput:
    """What one run is given."""

    files: tuple[InputFile, ...]
    folder: Path
    """Private and writable; outputs lie in it, and all of it is removed afterwards."""
    progress: Progress
    log: LogLine = not_logged
    """What is printed or logged in a sandbox is kept as well; a trusted tool has only this."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that the run made; it lies in the run's folder."""

    name: str
    """What its owner should see, unique within the run."""
    path: Path
    media_type: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What one run gives back, when there is more to say than the outputs."""

    outputs: tuple[OutputFile, ...]
    notes: tuple[str, ...] = ()
    """What the owner should know about the outputs, such as an encoding that was detected."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a tool stands to a program that people use for the same today; its page shows it."""

    program: str
    """With what it is best known for, such as `ImageMagick`."""
    command: str
    """What gives the same as the tool with the options that it has by default."""
    differs: tuple[str, ...]
    """What one of the two does and the other does not, in whole sentences."""


@dataclass(frozen=True, slots=True)
class Program:
    """An executable that comes inside a Python package; see `processors.tools.programs`."""

    name: str
    package: str
    """The package that brings it."""
    pattern: str
    """Its path within the package; wildcards stand for versions and kinds of machines."""


Level = Literal["L0", "L1", "L2", "L3"]
"""How well a run is walled in: L0 not, L1 by limits, L2 by system calls too, L3 wholly."""

OptionsT = TypeVar("OptionsT", bound=ToolOptions)


class BaseTool(ABC, Generic[OptionsT]):
    """A tool: `process` turns the input files into output files, by the options."""

    name: ClassVar[str]
    """In lower case with hyphens; it stands in URLs and in history, so it never changes."""
    description: ClassVar[str]
    version: ClassVar[str]
    """Raised whenever the same input and options may give another output."""
    input_formats: ClassVar[list[str]]
    """Media types that are taken; `image/*` and `*/*` are patterns."""
    output_formats: ClassVar[list[str]]
    """Media types that are made; an output of any other type is refused."""
    limits: ClassVar[ToolLimits] = ToolLimits()
    retries: ClassVar[ToolRetries] = ToolRetries()
    cacheable: ClassVar[bool] = True
    """False: the same files and options may give other outputs; earlier ones are not reused."""
    names_matter: ClassVar[bool] = True
    """False: no byte of an output depends on what the input files are called."""
    opens_encrypted: ClassVar[bool] = False
    """With a password it takes out what no virus scanner saw; where there is one, it looks now."""
    trusted: ClassVar[bool] = False
    """May run inside the worker: it parses nothing, and never blocks the event loop."""
    group: ClassVar[str] = GENERAL
    """Tools of one group share a process that has their `modules` loaded and forks their runs."""
    isolation_min: ClassVar[Level] = "L0"
    """Where a run cannot be walled in that well, the tool is unavailable; a setting may ask for
    more, never for less."""
    modules: ClassVar[tuple[str, ...]] = ()
    """What `process` imports: without one the tool is unavailable; a sandbox loads them early."""
    late_modules: ClassVar[tuple[str, ...]] = ()
    """The same for what starts threads when it is imported: each run loads them by itself, behind
    the walls, because a process with threads can neither be forked nor walled in as a whole."""
    programs: ClassVar[tuple[Program, ...]] = ()
    """What `process` starts with `run_program`; `processes_max` has to leave room for it."""
    extra: ClassVar[str | None] = None
    """The extra of this project that brings what a plain installation lacks of `modules`."""
    compares_with: ClassVar[tuple[Comparison, ...]] = ()
    Options: type[OptionsT]

    async def validate(self, input_data: ToolInput, options: OptionsT) -> bool:
        """Look whether the input can be taken at all; False or a ToolProcessingError refuses it."""
        for file in input_data.files:
            if file.size_bytes == 0:
                raise EmptyFile
            if not accepts(self.input_formats, file.media_type):
                raise UnsupportedMediaType(f"{self.name} does not take {file.media_type} files.")
        return True

    @abstractmethod
    async def process(
        self, input_data: ToolInput, options: OptionsT
    ) -> list[OutputFile] | ToolResult:
        """Make the outputs, or raise a ToolProcessingError that tells the owner what is wrong."""

    async def cleanup(self, temp_files: list[str]) -> None:
        """Delete what the run left in its folder besides its outputs."""
        for name in temp_files:
            _delete(Path(name))


def install_command(extra: str) -> str:
    """What installs an extra of this project."""
    return f"pip install 'magictoolbox[{extra}]'"


def accepts(formats: list[str], media_type: str) -> bool:
    """Tell whether a list of media types and patterns covers a media type."""
    family = media_type.partition("/")[0]
    return any(offered in (media_type, f"{family}/*", "*/*") for offered in formats)


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)


class ToolProcessingError(Exception):
    """The tool could not process the file."""

    def __init__(
        self,
        code: str = "TOOL_PROCESSING_ERROR",
        message: str = "",
        *,
        field: str | None = None,
        permanent: bool = True,
        stack: str | None = None,
    ) -> None:
        """`field` names the option at fault; `stack` is for logs, all else for the file's owner."""
        if CODE.fullmatch(code) is None:
            raise ValueError(f"{code!r} is no code: it has to be in UPPER_SNAKE")
        self.code = code
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        self.field = field
        self.permanent = permanent
        self.stack = stack
        super().__init__(f"{code}: {self.message}")


class DocumentedError(ToolProcessingError):
    """An error whose code, meaning and lasting stand in its class."""

    CODE: ClassVar[str]
    PERMANENT: ClassVar[bool] = True

    def __init__(
        self, message: str = "", *, field: str | None = None, stack: str | None = None
    ) -> None:
        super().__init__(self.CODE, message, field=field, permanent=self.PERMANENT, stack=stack)


class EmptyFile(DocumentedError):
    """The file is empty."""

    CODE = "EMPTY_FILE"


class CorruptFile(DocumentedError):
    """The file is damaged or cut short."""

    CODE = "CORRUPT_FILE"


class UnsupportedMediaType(DocumentedError):
    """The file is of a type that the tool does not take."""

    CODE = "UNSUPPORTED_MEDIA_TYPE"


class InvalidInputs(DocumentedError):
    """The tool does not take this number of files."""

    CODE = "INVALID_INPUTS"


class InvalidOptions(DocumentedError):
    """An option is unknown or has a value that the tool does not take."""

    CODE = "INVALID_OPTIONS"


class DimensionsTooLarge(DocumentedError):
    """The picture or page is larger than the tool takes."""

    CODE = "DIMENSIONS_TOO_LARGE"


class TooManyFrames(DocumentedError):
    """The picture has more frames than the tool takes."""

    CODE = "TOO_MANY_FRAMES"


class TooManyPages(DocumentedError):
    """The document has more pages than the tool takes."""

    CODE = "TOO_MANY_PAGES"


class TooManyCells(DocumentedError):
    """The table has more cells than the tool takes."""

    CODE = "TOO_MANY_CELLS"


class NoText(DocumentedError):
    """The document holds no text; it may be a scan."""

    CODE = "NO_TEXT"


class PasswordRequired(DocumentedError):
    """The file is protected with a password."""

    CODE = "PASSWORD_REQUIRED"


class WrongPassword(DocumentedError):
    """The password does not open the file."""

    CODE = "WRONG_PASSWORD"


class ArchiveBomb(DocumentedError):
    """The file unpacks to far more than its own size."""

    CODE = "ARCHIVE_BOMB"


class ResourceLimitExceeded(DocumentedError):
    """The file needs more memory, time or space than the tool may use."""

    CODE = "RESOURCE_LIMIT_EXCEEDED"


class BadOutput(DocumentedError):
    """The tool made an output that it may not make."""

    CODE = "BAD_OUTPUT"


class ToolTimeout(DocumentedError):
    """The tool did not finish in time."""

    CODE = "TOOL_TIMEOUT"
    PERMANENT = False


class ToolCrashed(DocumentedError):
    """The tool ended unexpectedly."""

    CODE = "TOOL_CRASHED"
    PERMANENT = False
