"""What a run of a tool needs and what comes of it: the seam between a worker and a sandbox."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from processors.sandbox.observed import Observed
from processors.tools.base import InputFile, Progress, ToolLimits


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One run of a tool."""

    tool: str
    options: dict[str, Any]
    inputs: tuple[InputFile, ...]
    folder: Path
    """Where the tool may write; of a tool that makes no outputs it need not exist."""
    limits: ToolLimits
    observed: Observed = field(default_factory=Observed, compare=False)
    """What the runner sees of the run, whatever becomes of it."""


@dataclass(frozen=True, slots=True)
class CollectedOutput:
    """An output that was checked: a plain file in the run's folder, of a type that was promised."""

    name: str
    path: Path
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Isolation:
    """How well a run is walled in: L0 not, L1 by limits, L2 by system calls too, L3 wholly."""

    level: str
    layers: tuple[str, ...]
    missing: tuple[str, ...]
    """What this machine does not give, each with the reason."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What a run that succeeded made, and what it cost."""

    outputs: tuple[CollectedOutput, ...]
    notes: tuple[str, ...]
    duration_seconds: float
    peak_rss_bytes: int | None
    """Of all its processes together; None where it ran inside the worker."""
    cpu_seconds: float | None
    isolation: Isolation


class Runner(Protocol):
    """Runs tools; a sandbox does it in processes of their own, the inline runner in this one."""

    isolation: Isolation

    async def start(self) -> None:
        """Get ready to run tools."""

    async def run(self, run: ToolRun, on_progress: Progress) -> ToolOutcome:
        """Run a tool to its end; raises ToolProcessingError, and ends the run when cancelled."""

    async def stop(self) -> None:
        """End every run and leave nothing behind."""
