"""Ends what a killed supervisor left behind, and nothing else.

A process id alone says little, for the kernel uses it again: the file also holds the boot and the
start time of the process, and only a process that matches them is ours. Whoever calls this holds
the lock of the data folder.
"""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from signal import SIGCONT, SIGKILL, Signals

from infrastructure.embedded.data_folder import write_owner_only
from infrastructure.embedded.errors import OrphanWillNotEnd

END_POLL_SECONDS = 0.02
KILL_SECONDS = 10.0
START_TIME_FIELD = 19  # Of /proc/PID/stat, counted after the command's closing bracket.


def write_pid(path: Path, pid: int) -> None:
    """Note which process this is, in a way that survives the reuse of process ids."""
    write_owner_only(path, f"{pid}\n{_mark(pid) or ''}\n")


def read_pid(path: Path) -> int | None:
    """The process that the file names, if it is still that one."""
    try:
        pid_line, mark = path.read_text().splitlines()[:2]
        pid = int(pid_line)
    except (OSError, ValueError):
        return None
    return pid if mark and mark == _mark(pid) else None


def end(pids: Iterable[int], signal: Signals, grace_seconds: float) -> None:
    """Ask the processes to end, wait, and kill those that did not."""
    living = {pid: mark for pid in pids if (mark := _mark(pid)) is not None}
    for asked, seconds in ((signal, grace_seconds), (SIGKILL, KILL_SECONDS)):
        _send(living, asked)
        deadline = time.monotonic() + seconds
        while living and time.monotonic() < deadline:
            time.sleep(END_POLL_SECONDS)
            living = {pid: mark for pid, mark in living.items() if _mark(pid) == mark}
    for pid in living:
        raise OrphanWillNotEnd(pid)


def _send(pids: Iterable[int], signal: Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal)
            # A frozen process hears nothing but this.
            os.kill(pid, SIGCONT)


def working_in(folder: Path, program: str) -> list[int]:
    """The processes of that program whose working directory is the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "comm").read_text().strip() == program and (entry / "cwd").samefile(folder):
                found.append(int(entry.name))
    return found


def _mark(pid: int) -> str | None:
    """Boot and start time of a living process; None for one that is gone, or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return f"{boot} {fields[START_TIME_FIELD]}"
