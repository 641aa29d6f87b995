"""Builds a FastAPI application with everything that both APIs have in common.

From outside to inside: request id, log and metrics; security headers; CORS; the error boundary; the
body guard; then the framework. All of it is plain ASGI: no task and no context copy per layer.
Routes, lifespan and error table are the service's.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import structlog
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infrastructure.health import Readiness, health_routes
from infrastructure.http.body_guard import BODY_BYTES_MAX, BodyGuard
from infrastructure.http.problems import (
    PROBLEM_RESPONSES,
    ErrorBoundary,
    ErrorTable,
    Problem,
    install,
    problem_response,
)
from infrastructure.http.request_id import RequestContext
from infrastructure.http.security_headers import SecurityHeaders

EXPOSED_HEADERS = (
    "X-Request-ID",
    "X-Event-Position",
    "X-Applied-Position",
    "Location",
    "ETag",
    "Retry-After",
    "Content-Disposition",
)
ALLOWED_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "Range",
    "X-Request-ID",
)
ALLOWED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PREFLIGHT_SECONDS = 600

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_api(
    *,
    title: str,
    version: str,
    description: str,
    readiness: Readiness,
    lifespan: Lifespan | None = None,
    errors: ErrorTable | None = None,
    allowed_origins: Sequence[str] = (),
    https: bool = False,
    body_bytes_max: int = BODY_BYTES_MAX,
    tags: Sequence[Mapping[str, str]] = (),
) -> FastAPI:
    """An API without routes of its own, except /health, /ready, /metrics and /docs."""
    app = FastAPI(
        title=title,
        version=version,
        description=description,
        lifespan=lifespan,
        openapi_tags=[dict(tag) for tag in tags] or None,
        redoc_url=None,
        responses=PROBLEM_RESPONSES,
        routes=list(health_routes(readiness)),
        middleware=[
            Middleware(RequestContext),
            Middleware(SecurityHeaders, https=https),
            Middleware(
                _Cors,
                allow_origins=list(allowed_origins),
                allow_methods=ALLOWED_METHODS,
                allow_headers=ALLOWED_HEADERS,
                expose_headers=EXPOSED_HEADERS,
                max_age=PREFLIGHT_SECONDS,
            ),
            Middleware(ErrorBoundary),
            Middleware(BodyGuard, bytes_max=body_bytes_max),
        ],
    )
    install(app, errors or {})
    return app


class _Cors(CORSMiddleware):
    """The framework's CORS, refusing a preflight in our words.

    Credentials are not allowed: callers identify themselves with a bearer token, never a cookie.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Most callers are programs, which send no Origin; they need not pay for the check.
        if scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"]):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        problem = Problem(400, "CORS_REFUSED", "This origin, method or header is not allowed.")
        # This method sees no scope; the log context knows the id too.
        state = {"request_id": structlog.contextvars.get_contextvars().get("request_id")}
        refusal = problem_response({"state": state}, problem)
        return refusal
