"""The one shape of every long-lived service: start, run once and again, drain, stop.

`ServiceLoop` calls `run_once` until it is drained. A run that says `more` is followed by the next
at once; otherwise the loop waits for `wake` or the idle interval. A failed run is logged once per
kind of failure, counted each time, and tried again after a growing, jittered pause, so that no
failure makes a hot loop and none ends the service. Readiness asks for progress: a run that
succeeded a short time ago.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping
from typing import Protocol

import structlog

from infrastructure import metrics
from infrastructure.health import Check, CheckFailed

IDLE_SECONDS = 1.0
RUN_SECONDS_MAX = 60.0
STALE_SECONDS = 30.0
PAUSE_SECONDS_FIRST = 0.1
PAUSE_SECONDS_MAX = 10.0
STOP_SECONDS_MAX = 10.0
REMIND_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Counts(Mapping[str, int]):
    """What one run did, by name: `Counts(published=512, more=True)`.

    `more` asks for the next run at once, because there was more to do than one run may take.
    """

    __slots__ = ("_counts", "more")

    def __init__(self, *, more: bool = False, **counts: int) -> None:
        self._counts = counts
        self.more = more

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"Counts({self._counts}, more={self.more})"

    @property
    def is_idle(self) -> bool:
        """Whether the run found nothing to do."""
        return not any(self._counts.values())


class Halt(Exception):
    """The service must not go on without a human.

    The loop logs it as an alarm, turns readiness red and waits for the drain: a restart would only
    meet the same state again.
    """


class Service(Protocol):
    """What a long-lived service is made of; a failed `run_once` is simply called again."""

    @property
    def name(self) -> str:
        """Its name in logs, metrics and readiness."""

    async def start(self) -> None:
        """Open what runs need; called again after a pause when it raises."""

    async def run_once(self) -> Counts:
        """Do a bounded piece of work and say what was done."""

    async def stop(self) -> None:
        """Close what `start` opened."""


class ServiceLoop:
    """Runs one service until it is drained."""

    def __init__(
        self,
        service: Service,
        *,
        wake: asyncio.Event | None = None,
        idle_seconds: float = IDLE_SECONDS,
        run_seconds_max: float = RUN_SECONDS_MAX,
        stale_seconds: float = STALE_SECONDS,
        pause_seconds_max: float = PAUSE_SECONDS_MAX,
    ) -> None:
        self.name = service.name
        self._service = service
        self._wake = wake if wake is not None else asyncio.Event()
        self._idle_seconds = idle_seconds
        self._run_seconds_max = run_seconds_max
        self._stale_seconds = stale_seconds
        self._failures = _Failures(service.name, pause_seconds_max)
        self._drained = asyncio.Event()
        self._started = False
        self._halted: Halt | None = None
        self._progress_at = time.monotonic()

    @property
    def check(self) -> Check:
        """The readiness check of this service."""
        return Check(self._probe)

    def wake(self) -> None:
        """Ask for a run now; may be called from any callback of the loop."""
        self._wake.set()

    def drain(self) -> None:
        """Ask the loop to end after the run in progress."""
        self._drained.set()
        self._wake.set()

    async def run(self) -> None:
        """Run until drained."""
        try:
            while not self._drained.is_set():
                await self._turn()
        finally:
            await self._stop()

    async def _turn(self) -> None:
        # Cleared before the run, so that a wake during the run is not lost.
        self._wake.clear()
        try:
            counts = await self._run_once()
        except Halt as halt:
            await self._halt(halt)
        except Exception as error:
            await self._wait(self._drained, self._failures.failed(error))
        else:
            self._failures.recovered()
            if counts.more:
                await asyncio.sleep(0)
            elif not self._drained.is_set():
                await self._wait(self._wake, self._idle_seconds)

    async def _run_once(self) -> Counts:
        began = time.perf_counter()
        async with asyncio.timeout(self._run_seconds_max):
            if not self._started:
                await self._service.start()
                self._started = True
                log.info("service_started", service=self.name)
            counts = await self._service.run_once()
        self._count(counts, time.perf_counter() - began)
        return counts

    def _count(self, counts: Counts, seconds: float) -> None:
        self._progress_at = time.monotonic()
        outcome = "idle" if counts.is_idle else "worked"
        metrics.SERVICE_RUNS.labels(self.name, outcome).inc()
        metrics.SERVICE_PROGRESS_TIMESTAMP_SECONDS.labels(self.name).set_to_current_time()
        if counts.is_idle:
            return
        metrics.SERVICE_RUN_SECONDS.labels(self.name).observe(seconds)
        for what, count in counts.items():
            metrics.SERVICE_COUNTS.labels(self.name, what).inc(count)
        log.debug("service_ran", service=self.name, **counts)

    async def _halt(self, halt: Halt) -> None:
        self._halted = halt
        metrics.SERVICE_ERRORS.labels(self.name, type(halt).__name__).inc()
        log.critical("service_halted", service=self.name, exc_info=halt)
        await self._drained.wait()

    async def _stop(self) -> None:
        if not self._started:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await self._service.stop()
            log.info("service_stopped", service=self.name)
        except Exception:
            log.exception("service_stop_failed", service=self.name)

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return

    async def _probe(self) -> str | None:
        if self._halted is not None:
            raise CheckFailed("halted")
        silent = time.monotonic() - self._progress_at
        if silent > self._stale_seconds:
            raise CheckFailed(f"no progress for {silent:.0f} s")
        if not self._started:
            raise CheckFailed("not started yet")
        return None


class _Failures:
    """Counts consecutive failures: what to log, and how long to pause."""

    def __init__(self, service: str, pause_seconds_max: float) -> None:
        self._service = service
        self._pause_seconds_max = pause_seconds_max
        self._count = 0
        self._kinds: set[str] = set()
        self._reminded_at = 0.0

    def failed(self, error: Exception) -> float:
        """Take note of a failed run and say how many seconds to pause."""
        kind = type(error).__name__
        self._count += 1
        metrics.SERVICE_RUNS.labels(self._service, "failed").inc()
        metrics.SERVICE_ERRORS.labels(self._service, kind).inc()
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._reminded_at = time.monotonic()
            log.error("service_run_failed", service=self._service, kind=kind, exc_info=error)
        elif time.monotonic() - self._reminded_at > REMIND_SECONDS:
            self._reminded_at = time.monotonic()
            log.error("service_still_failing", service=self._service, failures=self._count)
        return pause_seconds(self._count, self._pause_seconds_max)

    def recovered(self) -> None:
        """Take note of a run that succeeded."""
        if self._count:
            log.info("service_recovered", service=self._service, failures=self._count)
            self._count = 0
            self._kinds.clear()


def pause_seconds(failures: int, most: float = PAUSE_SECONDS_MAX) -> float:
    """The pause after so many failures in a row: doubling up to `most`, minus up to a half."""
    whole = min(most, PAUSE_SECONDS_FIRST * 2 ** min(failures - 1, 30))
    return random.uniform(whole / 2, whole)  # noqa: S311 - spreads load, hides nothing
