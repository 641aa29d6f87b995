"""Gives every request an id, a log record and a place in the metrics.

The caller's `X-Request-ID` is kept if it is harmless, else one is made; it is bound to the log
context and sent back. Paths are logged and counted as route templates only: a real path can hold a
file name.
"""

import os
import re
import time
from functools import lru_cache

import structlog
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure import metrics
from infrastructure.http.problems import CLIENT_CLOSED_REQUEST

HEADER = b"x-request-id"
UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUIET_ROUTES = frozenset({"/health", "/ready", "/metrics"})

_HARMLESS = re.compile(rb"[A-Za-z0-9._-]{1,128}\Z")

log = structlog.get_logger(__name__)


def new_request_id() -> str:
    """An id that nobody else uses."""
    return os.urandom(16).hex()


def request_id_of(scope: Scope) -> str:
    """The id the caller sent, or a new one."""
    for name, value in scope["headers"]:
        if name == HEADER and _HARMLESS.match(value):
            return str(value, "ascii")
    return new_request_id()


def route_template(scope: Scope) -> str:
    """`/api/v1/jobs/{job_id}` for `/api/v1/jobs/0192…`; bounded, so fit for a label."""
    # Only here does the framework keep the template with the prefixes of all routers.
    context = scope.get("fastapi", {}).get("effective_route_context")
    if context is not None and (template := getattr(context, "path_format", None)):
        return str(template)
    if (route := scope.get("route")) is not None:
        return str(getattr(route, "path", UNMATCHED))
    if "endpoint" in scope and not scope.get("path_params"):
        return str(scope["path"])
    return UNMATCHED


class RequestContext:
    """The outermost middleware: names the request, times it and says how it ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application with a request id."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = time.perf_counter()
        request_id = request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        header = (HEADER, request_id.encode("ascii"))
        status = 0

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        metrics.HTTP_REQUESTS_IN_PROGRESS.inc()
        try:
            await self._app(scope, receive, with_id)
        finally:
            metrics.HTTP_REQUESTS_IN_PROGRESS.dec()
            _record(scope, status or CLIENT_CLOSED_REQUEST, time.perf_counter() - began)


def _record(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in METHODS else metrics.OTHER
    route = route_template(scope)
    _durations(method, route, status).observe(seconds)
    level = log.debug if route in QUIET_ROUTES else log.info
    level(
        "request_served",
        method=method,
        route=route,
        status=status,
        duration_ms=round(seconds * 1000, 2),
    )


@lru_cache(maxsize=4_096)
def _durations(method: str, route: str, status: int) -> Histogram:
    # Looking a child up by its labels costs more than observing with it.
    return metrics.HTTP_REQUEST_SECONDS.labels(method, route, status)
