"""The one tool of the world: it takes its time, makes an output, and fails as it is told."""

import asyncio
import random
from typing import ClassVar, Literal

from processors.tools.base import (
    BaseTool,
    CorruptFile,
    DocumentedError,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
)
from processors.tools.registry import Registry

Outcome = Literal["succeeds", "is_flaky", "is_corrupt"]


class Unlucky(DocumentedError):
    """Bad luck; the next attempt may have more."""

    CODE = "UNLUCKY"
    PERMANENT = False


class LaborOptions(ToolOptions):
    """What a run is like."""

    seconds: float = 0.1
    outcome: Outcome = "succeeds"
    outputs: int = 1


class Labor(BaseTool[LaborOptions]):
    """See above."""

    name = "labor"
    description = "Works for a while."
    version = "1"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = ["text/plain"]
    limits = ToolLimits(
        wall_seconds=600.0, inputs_min=0, inputs_max=20, outputs_max=3, attempts_max=4
    )
    trusted = True
    Options = LaborOptions

    async def process(self, input_data: ToolInput, options: LaborOptions) -> list[OutputFile]:
        """Work."""
        await asyncio.sleep(options.seconds)
        if options.outcome == "is_corrupt":
            raise CorruptFile
        if options.outcome == "is_flaky" and random.random() < 0.5:
            raise Unlucky
        return [_output(input_data, number) for number in range(options.outputs)]


def _output(input_data: ToolInput, number: int) -> OutputFile:
    path = input_data.folder / str(number)
    path.write_bytes(b"made")
    return OutputFile(f"{number}.txt", path, "text/plain")


def registry() -> Registry:
    """The tools of the world."""
    return Registry([Labor])
