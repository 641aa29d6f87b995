"""Runs one process from its start to its drained end: logs, loop, health, signals, exit code.

`run_process` returns after SIGTERM or SIGINT once every service has finished what it had begun, at
the latest after `DRAIN_SECONDS_MAX`; it exits 1 when the process could not start or a service ended
by itself or did not end in time. A second signal cuts the drain short. What the services do is
theirs.
"""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
import uvloop

from infrastructure.health import Check, CheckFailed, HealthServer, Readiness
from infrastructure.logging import configure_logging
from infrastructure.settings import ProcessSettings

DRAIN_SECONDS_MAX = 25.0
CANCEL_SECONDS_MAX = 2.0
EXIT_FAILED = 1

log = structlog.get_logger(__name__)


class Runs(Protocol):
    """What a process runs beside others: a ServiceLoop, an HttpServer, a worker."""

    @property
    def name(self) -> str:
        """Its name in the logs."""

    async def run(self) -> None:
        """Run until drained."""

    def drain(self) -> None:
        """Ask it to end after what it has begun."""


@dataclass(frozen=True)
class Running:
    """What a process consists of, once it is built."""

    services: Sequence[Runs]
    checks: Mapping[str, Check] = field(default_factory=dict)


Build = Callable[[], AbstractAsyncContextManager[Running]]


def run_process(name: str, settings: ProcessSettings, build: Build) -> None:
    """Build the services, run them until a signal, drain; exits the interpreter only on failure."""
    configure_logging(name, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_Process(name, settings, build).main())
    if code:
        raise SystemExit(code)


class _Process:
    def __init__(self, name: str, settings: ProcessSettings, build: Build) -> None:
        self._name = name
        self._settings = settings
        self._build = build
        self._readiness = Readiness({"started": Check(_not_started)})
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._building: asyncio.Task[int] | None = None

    async def main(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        try:
            return await self._main()
        except Exception:
            log.exception("process_failed")
            return EXIT_FAILED
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def _main(self) -> int:
        health = HealthServer(
            self._readiness, self._settings.health_host, self._settings.health_port
        )
        await health.start()
        # A task of its own, so that a signal can cancel a start that waits for a server.
        task = self._building = asyncio.create_task(self._built(), name=self._name)
        try:
            return await task
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise
            return 0
        finally:
            await health.stop()
            log.info("process_ended")

    async def _built(self) -> int:
        async with self._build() as running:
            self._building = None
            if not self._stop.is_set():
                self._readiness.checks = running.checks
            log.info("process_started")
            tasks = {
                asyncio.create_task(service.run(), name=service.name): service
                for service in running.services
            }
            ended_early = await self._until_stopped(tasks)
            self._say_draining()
            failed = await self._drain(tasks)
        return EXIT_FAILED if ended_early or failed else 0

    async def _until_stopped(self, tasks: Mapping[asyncio.Task[None], Runs]) -> bool:
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if self._stop.is_set():
            return False
        ended = [service.name for task, service in tasks.items() if task.done()]
        log.error("service_ended_early", services=ended)
        return True

    async def _drain(self, tasks: Mapping[asyncio.Task[None], Runs]) -> bool:
        for service in tasks.values():
            service.drain()
        late = await self._not_ended(set(tasks))
        for task in late:
            log.warning("drain_cut_short", service=tasks[task].name)
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CANCEL_SECONDS_MAX)
        failed = bool(late)
        for task, service in tasks.items():
            error = task.exception() if task.done() and not task.cancelled() else None
            if error is not None:
                failed = True
                log.error("service_failed", service=service.name, exc_info=error)
        return failed

    async def _not_ended(self, tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
        """Wait for the tasks, the deadline or a second signal; return what still runs."""
        ending = asyncio.gather(*tasks, return_exceptions=True)
        hurrying = asyncio.create_task(self._hurry.wait(), name="hurry")
        waits: set[asyncio.Future[Any]] = {ending, hurrying}
        try:
            await asyncio.wait(
                waits, timeout=DRAIN_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            hurrying.cancel()
        return {task for task in tasks if not task.done()}

    def _say_draining(self) -> None:
        self._readiness.checks = {"draining": Check(_draining)}

    def _signalled(self, number: signal.Signals) -> None:
        # Before anything is said of the signal: who heard of it must find the process not ready.
        self._say_draining()
        log.info("signal_received", signal=number.name)
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()
        if self._building is not None:
            self._building.cancel()


async def _not_started() -> str | None:
    raise CheckFailed("starting")


async def _draining() -> str | None:
    raise CheckFailed("draining")
