"""Does nothing, for as long as it is told: for health probes, drills and measurements."""

import asyncio
import math
from typing import ClassVar, Literal, assert_never

from pydantic import Field

from processors.tools.base import (
    BaseTool,
    DocumentedError,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
)

SECONDS_MAX = 3600.0
STEP_SECONDS = 0.25


class NoOpOptions(ToolOptions):
    """For probes and drills."""

    seconds: float = Field(
        default=0.0,
        ge=0.0,
        le=SECONDS_MAX,
        title="Duration",
        description="How long to wait before the end, in seconds; for probes and drills.",
        examples=[2.5],
        json_schema_extra={"unit": "seconds"},
    )
    outcome: Literal["succeeded", "permanent", "transient", "crash"] = Field(
        default="succeeded",
        title="Outcome",
        description="How to end, for probes and drills: succeed, fail for good, fail so that a"
        " retry may help, or with an error that no tool should let out.",
    )


class DrillFailed(DocumentedError):
    """The drill fails for good, as it was told."""

    CODE = "DRILL_FAILED"


class DrillFailedForNow(DocumentedError):
    """The drill fails for now, as it was told."""

    CODE = "DRILL_FAILED"
    PERMANENT = False


class NoOp(BaseTool[NoOpOptions]):
    """A tool without an effect."""

    name = "no-op"
    description = "Does nothing and makes nothing; for probes, drills and measurements."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = []
    limits = ToolLimits(
        wall_seconds=SECONDS_MAX + 60,
        inputs_min=0,
        inputs_max=50,
        outputs_max=0,
    )
    trusted = True
    cacheable = False
    Options = NoOpOptions

    async def validate(self, input_data: ToolInput, options: NoOpOptions) -> bool:
        """Take anything."""
        return True

    async def process(self, input_data: ToolInput, options: NoOpOptions) -> list[OutputFile]:
        """Wait, and end as told."""
        await _wait(options.seconds, input_data)
        if options.outcome != "succeeded":
            input_data.log(f"the drill ends as it was told: {options.outcome}")
        match options.outcome:
            case "succeeded":
                return []
            case "permanent":
                raise DrillFailed
            case "transient":
                raise DrillFailedForNow
            case "crash":
                raise RuntimeError("the drill crashes, as it was told")
        assert_never(options.outcome)


async def _wait(seconds: float, input_data: ToolInput) -> None:
    steps = math.ceil(seconds / STEP_SECONDS)
    for step in range(steps):
        input_data.progress(step / steps, f"{seconds * step / steps:.0f} s of {seconds:g} s")
        await asyncio.sleep(seconds / steps)
