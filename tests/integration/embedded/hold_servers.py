"""Holds the three servers of a data folder, as the platform does, until it is told to stop.

Run as `python -m tests.integration.embedded.hold_servers FOLDER`; prints the addresses as one line
of JSON.
"""

import asyncio
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from infrastructure.embedded.data_folder import DataFolder
from infrastructure.embedded.ports import PortClaims
from infrastructure.embedded.secrets_file import load_or_draw
from infrastructure.embedded.servers import end_orphans, plan_servers, running


async def main(path: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with DataFolder(path) as folder, PortClaims() as ports:
        ended = end_orphans(folder)
        secrets = load_or_draw(folder.path / "secrets.json")
        plan = plan_servers(folder, secrets, ports, {})
        async with running(plan, folder):
            sys.stdout.write(json.dumps({**asdict(plan.endpoints), "ended": ended}) + "\n")
            sys.stdout.flush()
            await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
