"""Tools for tests: they wait, make files and fail as they are told."""

import asyncio
import os
from pathlib import Path
from typing import ClassVar

from processors.tools.base import (
    BaseTool,
    CorruptFile,
    DocumentedError,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.no_op import NoOp
from processors.tools.registry import Registry


class CopierOptions(ToolOptions):
    """For tests."""

    copies: int = 1
    outcome: str = "succeeded"
    note: str | None = None


class Down(DocumentedError):
    """Something is down."""

    CODE = "DOWN"
    PERMANENT = False


class Copier(BaseTool[CopierOptions]):
    """Makes copies of its inputs, or fails as told."""

    name = "copier"
    description = "Makes copies."
    version = "1"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = ["text/plain"]
    limits = ToolLimits(wall_seconds=20.0, outputs_max=10, inputs_max=3)
    trusted = True
    Options = CopierOptions

    async def process(self, input_data: ToolInput, options: CopierOptions) -> ToolResult:
        """Copy."""
        input_data.progress(0.5, "halfway")
        input_data.log(f"copies are to be made: {options.copies}")
        match options.outcome:
            case "permanent":
                raise CorruptFile
            case "transient":
                raise Down
            case "bug":
                raise ZeroDivisionError("a mistake")
        made = []
        for file in input_data.files:
            for number in range(options.copies):
                path = input_data.folder / f"{file.path.name}-{number}"
                path.write_bytes(file.path.read_bytes())
                made.append(OutputFile(f"{number}-{file.filename}", path, "text/plain"))
        return ToolResult(tuple(made), (options.note,) if options.note else ())


class GateOptions(ToolOptions):
    """For tests."""

    makes_output: bool = False


class Gate(BaseTool[GateOptions]):
    """Waits until its test lets it through; one gate for all workers of a process."""

    name = "gate"
    description = "Waits."
    version = "1"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = ["text/plain"]
    limits = ToolLimits(wall_seconds=60.0, inputs_min=0)
    trusted = True
    Options = GateOptions

    reached: ClassVar[asyncio.Event]
    opened: ClassVar[asyncio.Event]
    runs: ClassVar[int] = 0
    ends: ClassVar[int] = 0

    @classmethod
    def close(cls) -> None:
        """Let nobody through until it is opened."""
        cls.reached, cls.opened = asyncio.Event(), asyncio.Event()
        cls.runs = cls.ends = 0

    async def process(self, input_data: ToolInput, options: GateOptions) -> list[OutputFile]:
        """Wait."""
        Gate.runs += 1
        input_data.log("at the gate")
        self.reached.set()
        try:
            await self.opened.wait()
        finally:
            Gate.ends += 1
        if not options.makes_output:
            return []
        path = input_data.folder / "out"
        path.write_text("made")
        return [OutputFile("out.txt", path, "text/plain")]


class Sleeper(BaseTool[ToolOptions]):
    """Tells its process and sleeps for ever; needs a sandbox."""

    name = "sleeper"
    description = "Sleeps."
    version = "1"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = ["text/plain"]
    limits = ToolLimits(wall_seconds=60.0, inputs_min=0)
    Options = ToolOptions

    async def process(self, input_data: ToolInput, options: ToolOptions) -> list[OutputFile]:
        """Sleep."""
        input_data.progress(0.1, str(os.getpid()))
        await asyncio.sleep(3_600)
        return []


def registry() -> Registry:
    """All of them, and the tool without an effect."""
    return Registry([NoOp, Copier, Gate, Sleeper])


def folders_in(root: Path) -> list[Path]:
    """The private folders that are there."""
    return list(root.iterdir()) if root.exists() else []
