"""Programs that tools start: found in the packages of their extras, run without a shell.

A program runs behind the same walls as the tool that starts it: it reads the inputs and the
libraries of the system, writes in the run's folder, reaches no network, and ends with the run. A
tool that starts one names it in `programs`, raises `processes_max` in its limits, and calls
`run_program`; what the program printed is kept up to a limit, and its end is judged here.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from processors.tools.base import (
    DocumentedError,
    Program,
    ResourceLimitExceeded,
    ToolCrashed,
    ToolInput,
)

FFMPEG = Program("ffmpeg", "imageio_ffmpeg", "binaries/ffmpeg-*")
PANDOC = Program("pandoc", "pypandoc", "files/pandoc")

OUTPUT_BYTES_MAX = 1024**2
"""Kept of what a program prints, of either stream; the beginning of one, the end of the other."""
LINE_BYTES_MAX = 64 * 1024
READ_BYTES = 64 * 1024
ERRORS_BYTES_MAX = 8 * 1024
OUT_OF_LIMITS = frozenset({signal.SIGXCPU, signal.SIGXFSZ})

OnLine = Callable[[str], None]
"""Is given each line that a program prints, without its end, while the program runs."""


class ProgramMissing(DocumentedError):
    """A program that the tool needs is not installed here."""

    CODE = "NOT_INSTALLED"


class ProgramFailed(DocumentedError):
    """The program that the tool uses could not process the file."""

    CODE = "PROGRAM_FAILED"

    def __init__(self, message: str = "", *, status: int = 1, printed: str = "") -> None:
        """`printed` is the end of what it said of errors; it may quote the file of a stranger."""
        super().__init__(message, stack=f"exit code {status}")
        self.status = status
        self.printed = printed


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """What a program gave that ended well."""

    output: bytes
    """What it printed, as far as it is kept."""
    is_cut: bool
    errors: str
    """The end of what it printed to its standard error."""


def path_of(program: Program) -> Path | None:
    """Where a program is installed; nothing is imported to know."""
    try:
        spec = find_spec(program.package)
    except ModuleNotFoundError:
        return None
    folders = spec.submodule_search_locations if spec is not None else None
    found = [path for folder in folders or () for path in Path(folder).glob(program.pattern)]
    runnable = [path for path in sorted(found) if path.is_file() and os.access(path, os.X_OK)]
    return runnable[-1] if runnable else None


async def run_program(
    program: Program,
    arguments: Sequence[str | Path],
    input_data: ToolInput,
    *,
    on_line: OnLine | None = None,
    lines_of: str = "stdout",
) -> ProgramRun:
    """Run a program in the run's folder to its end.

    `on_line` hears the lines of one stream, `stdout` or `stderr`; carriage returns end a line too.
    Raises ProgramFailed when it ends with another status than 0, and what its signal means when it
    was killed. When this call is cancelled the program is killed.
    """
    path = path_of(program)
    if path is None:
        raise ProgramMissing(f"{program.name} is not installed here.")
    process = await _started(path, arguments, input_data.folder)
    output = _Kept(OUTPUT_BYTES_MAX, on_line if lines_of == "stdout" else None, keeps_end=False)
    errors = _Kept(ERRORS_BYTES_MAX, on_line if lines_of == "stderr" else None, keeps_end=True)
    try:
        await asyncio.gather(output.take(process.stdout), errors.take(process.stderr))
        status = await process.wait()
    finally:
        await _ended(process)
    if status != 0:
        raise _error(program, status, errors.text)
    return ProgramRun(bytes(output.kept), output.is_cut, errors.text)


async def _started(
    path: Path, arguments: Sequence[str | Path], folder: Path
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *(path, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "HOME": os.fspath(folder), "TMPDIR": os.fspath(folder)},
        )
    except OSError as error:
        raise ToolCrashed(f"{path.stem} does not start.", stack=repr(error)) from error


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())


def _error(program: Program, status: int, printed: str) -> DocumentedError:
    if status > 0:
        message = f"{program.name} could not process the file."
        return ProgramFailed(message, status=status, printed=printed)
    number = signal.Signals(-status)
    if number in OUT_OF_LIMITS:
        return ResourceLimitExceeded(f"{program.name} needs more time or space than it may use.")
    return ToolCrashed(f"{program.name} was ended by {number.name}.")


class _Kept:
    """One stream of a program: its lines as they come, and a bounded part of its bytes."""

    def __init__(self, bytes_max: int, on_line: OnLine | None, *, keeps_end: bool) -> None:
        self.kept = bytearray()
        self.is_cut = False
        self._bytes_max = bytes_max
        self._keeps_end = keeps_end
        self._on_line = on_line
        self._line = bytearray()

    @property
    def text(self) -> str:
        return self.kept.decode(errors="replace")

    async def take(self, stream: asyncio.StreamReader | None) -> None:
        """Read to the end; what is not kept is read all the same, or the program would wait."""
        while stream is not None and (part := await stream.read(READ_BYTES)):
            self._keep(part)
            if self._on_line is not None:
                self._tell(part, self._on_line)
        if self._line and self._on_line is not None:
            self._on_line(self._line.decode(errors="replace"))

    def _keep(self, part: bytes) -> None:
        self.kept += part
        if len(self.kept) > self._bytes_max:
            self.is_cut = True
            del self.kept[
                slice(0, -self._bytes_max) if self._keeps_end else slice(self._bytes_max, None)
            ]

    def _tell(self, part: bytes, on_line: OnLine) -> None:
        self._line += part.replace(b"\r", b"\n")
        *lines, rest = self._line.split(b"\n")
        # A line without an end is no reason to hold all of it.
        self._line = bytearray(rest[-LINE_BYTES_MAX:])
        for line in lines:
            if line:
                on_line(line.decode(errors="replace"))
