"""Runs each tool in a process of its own that is confined, watched and killed when it has to be.

When `run` is over, by whatever way, no process of the run is alive. A run fails with a
ToolProcessingError: the tool's own, or one that says what became of its process.
"""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processors.outputs import collect
from processors.sandbox.conversation import Ended, converse
from processors.sandbox.groups import Group, Nursery
from processors.sandbox.observed import Observed, Overheard
from processors.sandbox.run import Isolation, ToolOutcome, ToolRun
from processors.sandbox.watch import Verdict, Watch, Watched
from processors.sandbox.zygote import registry_from
from processors.sandbox.zygote_process import Child, Exit, ZygoteDied, ZygoteProcess
from processors.tools.base import (
    GENERAL,
    Progress,
    ResourceLimitExceeded,
    ToolCrashed,
    ToolProcessingError,
    ToolResult,
    ToolTimeout,
)
from processors.uninterrupted import uninterrupted

INSTALLED = "processors.tools.registry:installed"
IDLE_SECONDS = 120.0
TERM_SECONDS = 1.0
KILL_SECONDS = 3.0
NOT_STARTED = Isolation("L0", (), ("not started",))


@dataclass(frozen=True, slots=True)
class _Finished:
    result: ToolResult
    exit: Exit
    peak_rss_bytes: int


class Sandbox:
    """A runner for all tools; any number of runs at once.

    `registry` names the function that gives the tools, as `module:function`, because the sandbox's
    processes load them by themselves. `environment` is added to theirs; `without` names layers of
    isolation to leave out, for a machine on which one breaks a tool. A group of tools that was not
    used for `idle_seconds` gives its memory back.
    """

    def __init__(
        self,
        registry: str = INSTALLED,
        *,
        environment: Mapping[str, str] | None = None,
        without: Sequence[str] = (),
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._registry = registry_from(registry)
        self._nursery = Nursery(registry, environment or {}, without, idle_seconds)
        self._watch = Watch()
        self._groups: dict[str, Group] = {}
        self.isolation = NOT_STARTED
        """What every run has at least, from the first start on."""

    @property
    def zygotes(self) -> dict[str, ZygoteProcess]:
        """Those that live, by the names of their groups."""
        living = {name: group.zygote for name, group in self._groups.items()}
        return {name: zygote for name, zygote in living.items() if zygote and zygote.is_alive}

    async def start(self) -> None:
        """Find out what isolation there is; raises ToolCrashed when there is no way to start."""
        if self.isolation is NOT_STARTED:
            self.isolation = (await self._group(GENERAL).start()).isolation

    async def stop(self) -> None:
        """End every run and all zygotes."""
        await asyncio.gather(*(group.stop() for group in self._groups.values()))

    async def run(self, run: ToolRun, on_progress: Progress) -> ToolOutcome:
        """Run a tool to its end, its deadline, a limit or the cancellation of this call."""
        tool = self._registry.get(run.tool)
        await self.start()
        async with self._group(tool.group).used() as zygote:
            started = time.perf_counter()
            finished = await self._attended(zygote, run, on_progress)
            duration = time.perf_counter() - started
        outputs = collect(run.folder, finished.result.outputs, run.limits, tool.output_formats)
        return ToolOutcome(
            outputs=outputs,
            notes=finished.result.notes,
            duration_seconds=duration,
            peak_rss_bytes=max(finished.peak_rss_bytes, finished.exit.peak_rss_bytes),
            cpu_seconds=finished.exit.cpu_seconds,
            isolation=zygote.isolation,
        )

    def _group(self, name: str) -> Group:
        if name not in self._groups:
            promised = None if self.isolation is NOT_STARTED else self.isolation
            self._groups[name] = Group(name, self._nursery, promised, rests=name != GENERAL)
        return self._groups[name]

    async def _attended(
        self, zygote: ZygoteProcess, run: ToolRun, on_progress: Progress
    ) -> _Finished:
        loop = asyncio.get_running_loop()
        overheard = Overheard(run.observed.written)
        child, channel = await _forked(zygote, overheard)
        verdict: Verdict = loop.create_future()
        deadline = loop.call_later(run.limits.wall_seconds, _condemn, verdict, ToolTimeout())
        talking = asyncio.create_task(converse(channel, run, on_progress, verdict))
        watched = self._watch.add(child, zygote.pid, run, verdict)
        try:
            ends: set[asyncio.Future[Any]] = {child.exited, verdict}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not child.exited.done():
                raise verdict.result()
            exit_ = _exit_of(child)
            # Nobody holds the other end any more, so the conversation ends by itself.
            await asyncio.wait({talking}, timeout=KILL_SECONDS)
            ended = talking.result() if talking.done() else None
            return _Finished(_result(ended, exit_, run), exit_, watched.peak_rss_bytes)
        finally:
            deadline.cancel()
            self._watch.remove(watched)
            talking.cancel()
            await uninterrupted(_end(zygote, child, talking))
            channel.close()
            overheard.close()
            _observe(run.observed, watched, child)


async def _forked(zygote: ZygoteProcess, overheard: Overheard) -> tuple[Child, socket.socket]:
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            child = await zygote.fork(theirs, overheard.write_end)
        overheard.given()
        return child, ours
    except BaseException as error:
        ours.close()
        overheard.close()
        if isinstance(error, ZygoteDied):
            raise ToolCrashed(stack=repr(error)) from error
        raise


def _condemn(verdict: Verdict, error: ToolProcessingError) -> None:
    if not verdict.done():
        verdict.set_result(error)


async def _end(zygote: ZygoteProcess, child: Child, talking: asyncio.Task[Ended]) -> None:
    """Leave no process of a run alive: ask, then force, then end the zygote that does not."""
    for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        if not child.exited.done():
            with contextlib.suppress(ZygoteDied):
                await zygote.signal(child, number)
            await asyncio.wait({child.exited}, timeout=seconds)
    if not child.exited.done():
        zygote.kill()
    await asyncio.wait({child.exited})
    await asyncio.wait({talking})


def _observe(observed: Observed, watched: Watched, child: Child) -> None:
    """Note what the run used; of a very short one only its end tells."""
    observed.peak_rss_bytes = watched.peak_rss_bytes or None
    if child.exited.exception() is None:
        exit_ = child.exited.result()
        observed.peak_rss_bytes = max(watched.peak_rss_bytes, exit_.peak_rss_bytes)
        observed.cpu_seconds = exit_.cpu_seconds


def _exit_of(child: Child) -> Exit:
    try:
        return child.exited.result()
    except ZygoteDied as error:
        raise ToolCrashed(stack=repr(error)) from error


def _result(ended: Ended, exit_: Exit, run: ToolRun) -> ToolResult:
    """What the run gave, or the error that tells why it gave nothing."""
    if isinstance(ended, ToolProcessingError):
        raise ended
    if isinstance(ended, ToolResult) and exit_.status == 0:
        return ended
    if exit_.status >= 0:
        raise ToolCrashed(f"The tool ended without a result (exit code {exit_.status}).")
    number = signal.Signals(-exit_.status)
    out_of_time = exit_.cpu_seconds >= run.limits.cpu_seconds
    if number is signal.SIGXCPU or (number is signal.SIGKILL and out_of_time):
        raise ResourceLimitExceeded(
            f"The tool used more than {run.limits.cpu_seconds} s of processor time."
        )
    raise ToolCrashed(f"The tool was ended by {number.name}.")
