"""Reads /proc: who is whose child, and how much memory a tree of processes holds."""

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROCESSES_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of a run hold at one moment."""

    processes: int
    rss_bytes: int


def usage(roots: Iterable[int]) -> Usage:
    """What some processes and all below them hold."""
    pids = descendants(roots)
    return Usage(len(pids), sum(rss_bytes(pid) for pid in pids))


def descendants(roots: Iterable[int]) -> list[int]:
    """The processes and all below them, as far as a named limit."""
    found: list[int] = []
    waiting = list(roots)
    while waiting and len(found) < PROCESSES_MAX:
        pid = waiting.pop()
        found.append(pid)
        waiting += children(pid)
    return found


def children(pid: int) -> list[int]:
    """The direct children of all threads of a process; none when it is gone."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        lists = [(thread / "children").read_bytes() for thread in threads]
    except ProcessLookupError:
        return []
    except FileNotFoundError:
        return _children_the_slow_way(pid) if Path(f"/proc/{pid}").exists() else []
    return [int(child) for line in lists for child in line.split()]


def own_children() -> list[int]:
    """The direct children of this process, which has one thread."""
    own = os.getpid()
    try:
        with open(f"/proc/self/task/{own}/children", "rb", buffering=0) as listing:  # noqa: PTH123
            return [int(child) for child in listing.read().split()]
    except FileNotFoundError:
        return children(own)


def _children_the_slow_way(parent: int) -> list[int]:
    # Kernels without CONFIG_PROC_CHILDREN.
    below: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(folder)):
            below[int(fields[1])].append(int(folder.name))
    return below[parent]


def session_of(pid: int) -> int | None:
    """The session of a process, or None when it is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return None


def rss_bytes(pid: int) -> int:
    """The memory that a process holds, shared pages counted too; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_bytes().split()
    except OSError:
        return 0
    return int(fields[1]) * PAGE_BYTES


def mapped_bytes() -> int:
    """The address space of this process."""
    return int(Path("/proc/self/statm").read_bytes().split()[0]) * PAGE_BYTES


def thread_count() -> int:
    """The threads of this process."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def _stat(folder: Path) -> list[bytes]:
    # The fields after the name, which may hold spaces and brackets itself.
    try:
        return (folder / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []
