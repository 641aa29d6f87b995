"""The query API as an application: its routes, and what its lifespan opens and closes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter, FastAPI

from infrastructure.clock import Clock, SystemClock
from infrastructure.health import Readiness
from infrastructure.http.app import create_api
from query_api.errors import ERRORS
from query_api.lifespan import opened
from query_api.links import PREFIX
from query_api.principals import TOKEN_PATH
from query_api.readiness import checks
from query_api.routes import (
    bulk,
    events,
    job_list,
    job_stream,
    jobs,
    outputs,
    projections,
    queues,
    reports,
    schedules,
    stats,
    tools,
    workers,
    workflows,
)
from query_api.settings import QueryApiSettings

TITLE: Final = "MagicToolbox query API"
VERSION: Final = "0.1.0"
DESCRIPTION: Final = (
    "Jobs, results, history and numbers. Every answer says in X-Applied-Position which position of "
    "the log it reflects; `min_position` makes it reflect what you just wrote."
)
TAGS: Final = (
    {"name": "jobs", "description": "Jobs, their outputs and their history."},
    {"name": "schedules", "description": "Jobs by a plan, and when they come next."},
    {"name": "workflows", "description": "Jobs that wait for each other, and how far they are."},
    {"name": "tools", "description": "What can be done with files."},
    {"name": "stats", "description": "The tenant's jobs in numbers."},
    {"name": "queues", "description": "What waits, what is stopped, and what is bounded."},
    {"name": "projections", "description": "How far the read models are."},
)
# Fixed paths before those with parameters.
ROUTERS: Final = (
    job_list.router,
    jobs.router,
    events.router,
    outputs.router,
    reports.router,
    job_stream.router,
    schedules.router,
    workflows.router,
    tools.router,
    bulk.router,
    stats.router,
    workers.router,
    projections.router,
    queues.router,
)


def create_app(settings: QueryApiSettings, clock: Clock | None = None) -> FastAPI:
    """The application; nothing is opened before its lifespan begins."""
    readiness = Readiness()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(settings, clock or SystemClock()) as resources:
            app.state.resources = resources
            readiness.checks = checks(resources)
            yield

    app = create_api(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        readiness=readiness,
        lifespan=lifespan,
        errors=ERRORS,
        allowed_origins=settings.origins(settings.command_public_url),
        https=settings.query_public_url.startswith("https://"),
        tags=TAGS,
    )
    api = APIRouter(prefix=PREFIX)
    for router in ROUTERS:
        api.include_router(router)
    app.include_router(api)
    _name_token_url(app, f"{settings.command_public_url}{TOKEN_PATH}")
    return app


def _name_token_url(app: FastAPI, url: str) -> None:
    """Let the document say where tokens are had: on the other API, whose address is a setting."""
    document_of = app.openapi

    def openapi() -> dict[str, Any]:
        document = document_of()
        for scheme in document["components"]["securitySchemes"].values():
            scheme["flows"]["password"]["tokenUrl"] = url
        return document

    app.openapi = openapi  # type: ignore[method-assign]
