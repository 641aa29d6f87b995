"""A program that is run as a direct child: what to run, how to see that it is ready, how to end it.

`spawn` starts it behind the tether, so that it dies with us, with its output in a log file and its
process id in a file. Watching and restarting it is `child.Child`'s work; a test may hold a spawned
process by itself.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals

from infrastructure.embedded import tether
from infrastructure.embedded.data_folder import OWNER_ONLY_FILE, DataFolder
from infrastructure.embedded.orphans import write_pid

LOG_TAIL_BYTES = 16_384
LOG_BYTES_MAX = 64 * 1024**2
SAME_USER = "same"


def _nothing() -> None:
    return


@dataclass(frozen=True)
class Program:
    """What to run and how to treat it. `is_ready` and `before_start` may block for a moment."""

    name: str
    argv: tuple[str, ...]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] | None = None
    identity: str = SAME_USER
    stop_signal: Signals = Signals.SIGTERM
    stop_seconds: float = 20.0
    # What the kernel sends when we die without a chance to stop it.
    orphan_signal: Signals = Signals.SIGKILL
    start_seconds: float = 60.0
    before_start: Callable[[], None] = field(default=_nothing)


def spawn(program: Program, folder: DataFolder) -> subprocess.Popen[bytes]:
    """Start the program once, from a thread that lives as long as the child should."""
    log_path = folder.log_of(program.name)
    limit_log(log_path)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, OWNER_ONLY_FILE)
    try:
        process = subprocess.Popen(  # noqa: S603
            _tethered(program),
            env=dict(program.environment) if program.environment is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A Ctrl-C in the terminal is for us; we end the children in order.
            start_new_session=True,
        )
    finally:
        os.close(log)
    write_pid(folder.pid_of(program.name), process.pid)
    return process


def _tethered(program: Program) -> list[str]:
    return [
        sys.executable,
        "-I",
        "-S",
        str(Path(tether.__file__)),
        str(os.getpid()),
        str(int(program.orphan_signal)),
        program.identity,
        *program.argv,
    ]


def limit_log(log: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
    """Keep a log that grew too long as the one old log, and let its writer go on in an empty file.

    The writer appends, so it needs to know nothing; what it writes between the copy and the cut is
    lost.
    """
    if log.exists() and log.stat().st_size > bytes_max:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)


def log_tail(path: Path, lines: int) -> str:
    """The last lines of a log, for whoever has to find out why a process would not start."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
