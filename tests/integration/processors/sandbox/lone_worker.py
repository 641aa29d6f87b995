"""A worker with one sleeping run, for a test to kill."""

import asyncio
import sys
from pathlib import Path

from processors.sandbox.run import ToolRun
from processors.sandbox.runner import Sandbox
from processors.tools.base import GENERAL
from tests.integration.processors.sandbox.hostile_tools import Sleeper


async def main(folder: Path) -> None:
    """Start it, tell who is there, and wait for the end."""
    sandbox = Sandbox("tests.integration.processors.sandbox.hostile_tools:registry")
    await sandbox.start()

    def tell(*_: object) -> None:
        sys.stderr.write(f"{sandbox.zygotes[GENERAL].pid}\n")
        sys.stderr.flush()

    await sandbox.run(ToolRun("sleeper", {}, (), folder, Sleeper.limits), tell)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
