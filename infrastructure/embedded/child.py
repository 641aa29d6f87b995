"""Keeps one program running: starts it, waits until it is ready, restarts it, stops it.

A program that dies before it was ever ready is started a few more times and then given up with the
end of its log. One that was ready is restarted for ever, with growing pauses. The parent-death
signal is tied to the thread that spawns, so a child must be run from the main thread's event loop.
"""

import asyncio
import subprocess
import time

import structlog

from infrastructure.embedded.data_folder import DataFolder
from infrastructure.embedded.errors import ChildFailed, EmbeddedError
from infrastructure.embedded.exits import exited_within
from infrastructure.embedded.program import Program, limit_log, log_tail, spawn

log = structlog.get_logger()

LOG_CHECK_SECONDS = 60.0
READY_POLL_SECONDS_FIRST = 0.03
READY_POLL_SECONDS_MAX = 0.2
FIRST_STARTS_MAX = 3
PAUSE_SECONDS_FIRST = 0.1
PAUSE_SECONDS_MAX = 5.0
STEADY_SECONDS = 30.0
KILL_SECONDS = 10.0
LOG_TAIL_LINES = 20


class Child:
    """One supervised program."""

    def __init__(self, program: Program, folder: DataFolder) -> None:
        self.program = program
        self.restarts = 0
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._was_ready = asyncio.Event()

    @property
    def name(self) -> str:
        """What the child is called in logs and file names."""
        return self.program.name

    @property
    def pid(self) -> int | None:
        """The process that runs now, if one does."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def launch(self) -> None:
        """Begin to start and watch the program; returns at once."""
        self._watch = asyncio.create_task(self._keep_running(), name=f"child {self.name}")

    async def ready(self) -> None:
        """Wait until the program was ready once; raises ChildFailed when that will not happen."""
        assert self._watch is not None, "launch first"  # noqa: S101
        waiting = asyncio.create_task(self._was_ready.wait())
        try:
            await asyncio.wait({waiting, self._watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not self._was_ready.is_set():
            await self._watch

    async def stop(self) -> None:
        """Ask the program to end, wait for it, and kill it if it takes too long."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(self.program.stop_signal)
            if not await exited_within(process, self.program.stop_seconds):
                log.warning("child_killed", child=self.name, after=self.program.stop_seconds)
                process.kill()
                await exited_within(process, KILL_SECONDS)
        self._folder.pid_of(self.name).unlink(missing_ok=True)

    async def _keep_running(self) -> None:
        starts, pause = 0, PAUSE_SECONDS_FIRST
        while True:
            began = time.monotonic()
            reason = await self._one_life()
            starts += 1
            if not self._was_ready.is_set() and starts >= FIRST_STARTS_MAX:
                tail = log_tail(self._folder.log_of(self.name), LOG_TAIL_LINES)
                raise ChildFailed(self.name, reason, tail)
            if time.monotonic() - began > STEADY_SECONDS:
                pause = PAUSE_SECONDS_FIRST
            log.warning("child_ended", child=self.name, reason=reason, restart_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
            self.restarts += 1

    async def _one_life(self) -> str:
        """Start the program once and wait for its end; gives the reason of it."""
        try:
            await asyncio.to_thread(self.program.before_start)
            self._process = process = spawn(self.program, self._folder)
        except (OSError, EmbeddedError) as error:
            if not self._was_ready.is_set():
                raise
            return f"could not be started: {error}"
        return await self._until_it_ends(process)

    async def _until_it_ends(self, process: subprocess.Popen[bytes]) -> str:
        if not await self._becomes_ready(process):
            if process.poll() is None:
                process.kill()
                await exited_within(process, KILL_SECONDS)
                return f"was not ready within {self.program.start_seconds:.0f} s"
            return f"ended with exit code {process.returncode} before it was ready"
        self._was_ready.set()
        while not await exited_within(process, LOG_CHECK_SECONDS):
            await asyncio.to_thread(limit_log, self._folder.log_of(self.name))
        return f"ended with exit code {process.returncode}"

    async def _becomes_ready(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + self.program.start_seconds
        pause = READY_POLL_SECONDS_FIRST
        while process.poll() is None and time.monotonic() < deadline:
            if await asyncio.to_thread(self.program.is_ready):
                return True
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, READY_POLL_SECONDS_MAX)
        return False


async def complete(program: Program, folder: DataFolder) -> None:
    """Run a program that ends by itself; raises ChildFailed if it fails or takes too long."""
    process = spawn(program, folder)
    try:
        in_time = await exited_within(process, program.start_seconds)
    finally:
        if process.poll() is None:
            process.kill()
            await exited_within(process, KILL_SECONDS)
        folder.pid_of(program.name).unlink(missing_ok=True)
    if process.returncode != 0:
        reason = f"ended with exit code {process.returncode}" if in_time else "took too long"
        raise ChildFailed(program.name, reason, log_tail(folder.log_of(program.name), 40))
