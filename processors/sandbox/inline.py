"""Runs trusted tools inside the worker's own process: no start, no isolation.

Only for tools that parse nothing. The deadline holds for whatever awaits; a tool that computes does
so in a thread, and ends it when it is cancelled.
"""

import asyncio
import time

from processors.outputs import collect
from processors.sandbox.demands import runs_inline
from processors.sandbox.execution import execute
from processors.sandbox.run import Isolation, ToolOutcome, ToolRun
from processors.tools.base import Progress, ToolTimeout
from processors.tools.registry import Registry


class InlineRunner:
    """A runner without a sandbox, for trusted tools."""

    isolation = Isolation(level="L0", layers=(), missing=("runs inside the worker",))

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def start(self) -> None:
        """Nothing to do."""

    async def run(self, run: ToolRun, on_progress: Progress) -> ToolOutcome:
        """Run a trusted tool to its end, its deadline or its cancellation."""
        tool = self._registry.get(run.tool)
        if not runs_inline(tool):
            raise ValueError(f"{run.tool} is not trusted to run inside the worker")
        started = time.perf_counter()
        try:
            async with asyncio.timeout(run.limits.wall_seconds):
                result = await execute(tool, run, on_progress, run.observed.written.add_line)
        except TimeoutError:
            raise ToolTimeout from None
        outputs = collect(run.folder, result.outputs, run.limits, tool.output_formats)
        return ToolOutcome(
            outputs=outputs,
            notes=result.notes,
            duration_seconds=time.perf_counter() - started,
            peak_rss_bytes=None,
            cpu_seconds=None,
            isolation=self.isolation,
        )

    async def stop(self) -> None:
        """Nothing to do."""
