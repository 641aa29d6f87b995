"""A supervisor of the three servers, as a process that a test may kill."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infrastructure.embedded.orphans import read_pid

SERVERS = ("postgres", "nats", "valkey")
DEADLINE_SECONDS = 60.0


class Holder:
    """Starts the servers of a folder; a context manager that stops them in order."""

    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "tests.integration.embedded.hold_servers", str(folder)]
        self.process = subprocess.Popen([*prefix, *command], stdout=subprocess.PIPE)
        self.said: dict[str, Any] = {}

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        self.said = json.loads(self.process.stdout.readline())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(DEADLINE_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def database_url(self) -> str:
        """The address of the database."""
        return str(self.said["database_url"])

    def pid(self, server: str) -> int | None:
        """The process of one server, if it lives."""
        return read_pid(self.folder / "run" / f"{server}.pid")

    def pids(self) -> dict[str, int]:
        """The servers that live."""
        return {name: pid for name in SERVERS if (pid := self.pid(name)) is not None}
