"""Tools that start programs, as they should and as they should not."""

import os
import stat
from pathlib import Path
from typing import ClassVar

from processors.tools.base import (
    MIB,
    BaseTool,
    OutputFile,
    Program,
    ToolInput,
    ToolLimits,
    ToolOptions,
)
from processors.tools.programs import FFMPEG, PANDOC, run_program
from processors.tools.registry import Registry

SOUND = ("-nostdin", "-f", "lavfi", "-i", "sine=frequency=440:duration=2", "-progress", "pipe:1")
PYTHON = Program("python", "tests.integration.processors.sandbox", "no-such-file-*")


class StarterOptions(ToolOptions):
    """What to start, and with what."""

    program: str = "ffmpeg"
    arguments: tuple[str, ...] = ()
    lines_of: str = "stdout"


class Starter(BaseTool[StarterOptions]):
    """Runs a program, and tells what it printed and how often it told its progress."""

    name = "starter"
    description = "For tests."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = ["text/plain"]
    limits = ToolLimits(
        wall_seconds=60,
        memory_bytes=1024 * MIB,
        file_bytes=4 * MIB,
        inputs_min=0,
        processes_max=8,
    )
    programs = (FFMPEG, PANDOC)
    Options = StarterOptions

    async def process(self, input_data: ToolInput, options: StarterOptions) -> list[OutputFile]:
        """Run it."""
        lines: list[str] = []
        program = {"ffmpeg": FFMPEG, "pandoc": PANDOC, "missing": PYTHON}[options.program]
        arguments = [part.replace("{folder}", str(input_data.folder)) for part in options.arguments]
        done = await run_program(
            program, arguments, input_data, on_line=lines.append, lines_of=options.lines_of
        )
        told = "\n".join([*lines, done.output.decode(errors="replace"), done.errors])
        path = input_data.folder / "told.txt"
        path.write_text(told)
        return [OutputFile("told.txt", path, "text/plain")]


class Lonely(Starter):
    """May have no company, and starts a program all the same."""

    name = "lonely"
    limits = ToolLimits(wall_seconds=60, memory_bytes=1024 * MIB, inputs_min=0)


class Dropper(Starter):
    """Starts a program that it wrote itself."""

    name = "dropper"

    async def process(self, input_data: ToolInput, options: StarterOptions) -> list[OutputFile]:
        """Copy one, and start the copy."""
        path = input_data.folder / "said.txt"
        path.write_text(_dropped_and_started(input_data.folder))
        return [OutputFile("said.txt", path, "text/plain")]


def _dropped_and_started(folder: Path) -> str:
    dropped = folder / "dropped"
    dropped.write_bytes(Path("/bin/true").read_bytes())
    dropped.chmod(stat.S_IRWXU)
    try:
        os.posix_spawn(dropped, ["true"], {})
    except OSError as error:
        return f"refused: {error.strerror}"
    return "started"


class Absent(Starter):
    """Needs a program that is not there."""

    name = "absent"
    programs = (PYTHON,)
    extra = "media"


def registry() -> Registry:
    """All of them."""
    return Registry((Starter, Lonely, Dropper, Absent))
