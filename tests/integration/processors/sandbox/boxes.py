"""Sandboxes for tests, stopped again whatever happens."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from processors.sandbox.runner import IDLE_SECONDS, Sandbox

WALLS = ("namespaces", "landlock", "seccomp")
MEASURED_BY = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


@asynccontextmanager
async def started(
    registry: str, *, without: Sequence[str] = WALLS, idle_seconds: float = IDLE_SECONDS
) -> AsyncIterator[Sandbox]:
    """A sandbox, by default with the basic layers only, whose code counts in the coverage."""
    environment = {name: os.environ[name] for name in MEASURED_BY if name in os.environ}
    box = Sandbox(registry, environment=environment, without=without, idle_seconds=idle_seconds)
    await box.start()
    try:
        yield box
    finally:
        await box.stop()
