"""Removes the folders of runs whose worker was killed, as long as a worker lives beside them.

A folder that was made a moment ago is spared, as it may not be locked yet. So the folders of a
worker that is killed and comes back at once are too young at its start, and go a minute later.
"""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from infrastructure.periodic import Counts
from processors.workspace import sweep

YOUNG_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 60.0

log = structlog.get_logger(__name__)


class Leftovers:
    """See above; a service as `ServiceLoop` runs it."""

    name = "leftovers"

    def __init__(self, folder: Path) -> None:
        """`folder` is where all workers of this account have their private folders."""
        self._folder = folder

    async def start(self) -> None:
        """Nothing is opened."""

    async def run_once(self) -> Counts:
        """Remove what is there now."""
        removed = await asyncio.to_thread(sweep, self._folder, YOUNG_SECONDS)
        if removed:
            log.info("workspaces_swept", folders=removed)
        return Counts(removed=removed)

    async def stop(self) -> None:
        """Nothing to let go of."""
