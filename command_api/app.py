"""The command API as an application: its routes, and what its lifespan opens and closes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from command_api.lifespan import opened
from command_api.links import PREFIX
from command_api.problems import TABLE
from command_api.readiness import checks
from command_api.routes import (
    auth,
    bulk,
    jobs,
    limits,
    queues,
    schedules,
    tools,
    uploads,
    users,
    workflows,
)
from command_api.settings import CommandApiSettings
from infrastructure.clock import Clock, SystemClock
from infrastructure.health import Readiness
from infrastructure.http.app import create_api

TITLE: Final = "MagicToolbox command API"
VERSION: Final = "0.1.0"
DESCRIPTION: Final = (
    "Submit files to tools, steer jobs, manage users. Whatever is answered with 2xx is in the log; "
    "X-Event-Position says where, and Location says where the query API shows it."
)
TAGS: Final = (
    {"name": "auth", "description": "Tokens."},
    {"name": "tools", "description": "Files in, results out, in one request."},
    {"name": "uploads", "description": "Files for jobs to come."},
    {"name": "jobs", "description": "Submit by reference, cancel, try again."},
    {"name": "workflows", "description": "Steps that wait for each other, and batches."},
    {"name": "queues", "description": "Stop and go, and how much may run at once."},
    {"name": "schedules", "description": "Jobs by a plan."},
    {"name": "users", "description": "The people of a tenant."},
)
# In the order in which they are tried: the busiest first.
ROUTERS: Final = (
    jobs.router,
    tools.router,
    uploads.router,
    auth.router,
    users.router,
    bulk.router,
    workflows.router,
    queues.router,
    limits.router,
    schedules.router,
)


def create_app(settings: CommandApiSettings, clock: Clock | None = None) -> FastAPI:
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
        errors=TABLE,
        allowed_origins=settings.origins(settings.query_public_url),
        https=settings.command_public_url.startswith("https://"),
        tags=TAGS,
    )
    for router in ROUTERS:
        # Straight into the application: the framework matches every level twice.
        app.include_router(router, prefix=PREFIX)
    return app
