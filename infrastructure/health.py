"""Says whether a process lives, whether it can do its work, and what it counts.

`/health` answers as long as the event loop turns. `/ready` runs named checks, each under a
deadline: a check asks for progress, not for an open connection. `/metrics` is for Prometheus.
Answers name a check and its outcome, never an address or an error text.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infrastructure import metrics
from infrastructure.http.server import HttpServer

CHECK_SECONDS_MAX = 2.0
LOOP_LAG_INTERVAL_SECONDS = 0.5
HEALTH_DRAIN_SECONDS = 1

log = structlog.get_logger(__name__)

Probe = Callable[[], Awaitable[str | None]]


class CheckFailed(Exception):
    """This check did not pass; the message is shown in /ready, so it names no internal detail."""


@dataclass(frozen=True)
class Check:
    """One question of readiness: `probe` returns a word to show, or raises.

    A check that is not critical is shown and does not take the process out of service.
    """

    probe: Probe
    critical: bool = True
    deadline_seconds: float = CHECK_SECONDS_MAX


@dataclass(frozen=True)
class Outcome:
    """How one check went."""

    passed: bool
    critical: bool
    detail: str | None


@dataclass(frozen=True)
class Report:
    """How all checks went."""

    outcomes: Mapping[str, Outcome]

    @property
    def is_ready(self) -> bool:
        """Whether every critical check passed."""
        return all(o.passed or not o.critical for o in self.outcomes.values())

    @property
    def status(self) -> str:
        """`ready`, `degraded` (only checks that are not critical failed) or `not_ready`."""
        if not self.is_ready:
            return "not_ready"
        return "ready" if all(o.passed for o in self.outcomes.values()) else "degraded"


@dataclass
class Readiness:
    """The checks of a process; callers that ask at the same time share one answer."""

    checks: Mapping[str, Check] = field(default_factory=dict)
    _under_way: asyncio.Task[Report] | None = field(default=None, repr=False)

    async def report(self) -> Report:
        """Run all checks at once, each under its deadline."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(self._run(), name="readiness")
        return await asyncio.shield(self._under_way)

    async def _run(self) -> Report:
        names = list(self.checks)
        outcomes = await asyncio.gather(*(_outcome(name, self.checks[name]) for name in names))
        report = Report(dict(zip(names, outcomes, strict=True)))
        metrics.READY.set(report.is_ready)
        for name, outcome in report.outcomes.items():
            metrics.READINESS_CHECK.labels(name).set(outcome.passed)
        return report


async def _outcome(name: str, check: Check) -> Outcome:
    probe = asyncio.ensure_future(check.probe())
    # Not wait_for: it would wait for a probe that ignores its cancellation.
    await asyncio.wait({probe}, timeout=check.deadline_seconds)
    if not probe.done():
        probe.cancel()
        return Outcome(False, check.critical, "deadline exceeded")
    if probe.cancelled():
        return Outcome(False, check.critical, "cancelled")
    error = probe.exception()
    if error is None:
        return Outcome(True, check.critical, probe.result())
    if isinstance(error, CheckFailed):
        return Outcome(False, check.critical, str(error))
    log.debug("readiness_check_failed", check=name, exc_info=error)
    return Outcome(False, check.critical, "failed")


def health_routes(readiness: Readiness) -> list[Route]:
    """`/health`, `/ready` and `/metrics`, for a health server or an API of its own."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        report = await readiness.report()
        body = {
            "status": report.status,
            "checks": {name: _shown(outcome) for name, outcome in report.outcomes.items()},
        }
        return JSONResponse(body, status_code=200 if report.is_ready else 503)

    async def exposition(_: Request) -> Response:
        return Response(metrics.exposition(), media_type=metrics.EXPOSITION_MEDIA_TYPE)

    return [
        Route("/health", health, include_in_schema=False),
        Route("/ready", ready, include_in_schema=False),
        Route("/metrics", exposition, include_in_schema=False),
    ]


def _shown(outcome: Outcome) -> dict[str, object]:
    shown: dict[str, object] = {"status": "ok" if outcome.passed else "failed"}
    if outcome.detail is not None:
        shown["detail"] = outcome.detail
    if not outcome.critical:
        shown["critical"] = False
    return shown


class HealthServer:
    """Serves the health routes in the process's own loop, so that a stuck loop is seen."""

    def __init__(self, readiness: Readiness, host: str, port: int) -> None:
        self._server = HttpServer(
            Starlette(routes=health_routes(readiness)),
            host,
            port,
            name="health",
            drain_seconds=HEALTH_DRAIN_SECONDS,
        )
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def port(self) -> int:
        """Where it listens, once started; the asked port may have been 0."""
        return self._server.port

    async def start(self) -> None:
        """Listen; an occupied port raises OSError."""
        self._server.bind()
        self._tasks = [
            asyncio.create_task(self._server.run(), name="health_server"),
            asyncio.create_task(watch_loop_lag(), name="loop_lag"),
        ]
        await self._server.wait_started()
        log.info("health_served", port=self.port)

    async def stop(self) -> None:
        """Stop listening and wait for it."""
        self._server.drain()
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def watch_loop_lag() -> None:
    """Measure for ever how late this loop wakes a sleeper."""
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(LOOP_LAG_INTERVAL_SECONDS)
        late = time.perf_counter() - asked - LOOP_LAG_INTERVAL_SECONDS
        metrics.EVENT_LOOP_LAG_SECONDS.observe(max(0.0, late))
