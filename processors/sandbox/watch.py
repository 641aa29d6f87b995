"""Watches what the kernel does not limit: memory, disk and processes of a whole run.

One task looks at all runs of a sandbox. It only judges; whoever attends a run ends it.
"""

import asyncio
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from processors.sandbox.proc import children, session_of, usage
from processors.sandbox.run import ToolRun
from processors.sandbox.zygote_process import Child
from processors.tools.base import ResourceLimitExceeded, ToolProcessingError

INTERVAL_SECONDS = 0.1
FILES_MAX = 2_000
BLOCK_BYTES = 512

Verdict = asyncio.Future[ToolProcessingError]
"""Done when a run has to end, with the reason."""


@dataclass(slots=True, eq=False)
class Watched:
    """One run under watch."""

    child: Child
    run: ToolRun
    verdict: Verdict
    peak_rss_bytes: int = 0


class Watch:
    """Looks at runs as long as there are some."""

    def __init__(self) -> None:
        self._watched: dict[Watched, int] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, child: Child, zygote: int, run: ToolRun, verdict: Verdict) -> Watched:
        """Begin to watch a run of a zygote."""
        watched = Watched(child, run, verdict)
        self._watched[watched] = zygote
        if self._task is None:
            self._task = asyncio.create_task(self._look_again_and_again(), name="sandbox-watch")
        return watched

    def remove(self, watched: Watched) -> None:
        """Watch it no longer."""
        self._watched.pop(watched, None)
        if not self._watched and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            orphans = orphans_of(set(self._watched.values()))
            for watched in list(self._watched):
                pid = watched.child.pid
                if pid is not None:
                    _judge(watched, [pid, *(orphan for orphan in orphans[pid] if orphan != pid)])


def orphans_of(zygotes: set[int]) -> dict[int, list[int]]:
    """The direct children of zygotes by session: leaders, and those whose own parent has ended."""
    found: dict[int, list[int]] = defaultdict(list)
    for zygote in zygotes:
        for pid in children(zygote):
            found[session_of(pid) or 0].append(pid)
    return found


def _judge(watched: Watched, roots: list[int]) -> None:
    used = usage(roots)
    watched.peak_rss_bytes = max(watched.peak_rss_bytes, used.rss_bytes)
    limits = watched.run.limits
    reason = None
    if used.rss_bytes > limits.memory_bytes:
        reason = f"The tool used more than {limits.memory_bytes} bytes of memory."
    elif used.processes > limits.processes_max:
        reason = f"The tool started more than {limits.processes_max} processes."
    elif stored_bytes(watched.run.folder) > limits.outputs_bytes:
        reason = f"The tool wrote more than {limits.outputs_bytes} bytes."
    if reason and not watched.verdict.done():
        watched.verdict.set_result(ResourceLimitExceeded(reason))


def stored_bytes(folder: Path) -> float:
    """The disk space that a folder takes; infinite when it holds more than FILES_MAX files."""
    total = files = 0
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            # Removed, or made unreadable, in between.
            continue
        for entry in entries:
            files += 1
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            total += _stored(entry)
        if files > FILES_MAX:
            return float("inf")
    return total


def _stored(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES
    except OSError:
        return 0
