"""The process `query-api`: reads its settings once, serves until SIGTERM or SIGINT, drains."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from infrastructure.http.server import HttpServer
from infrastructure.process import Running, run_process
from query_api.app import create_app
from query_api.resources import Resources
from query_api.settings import QueryApiSettings


def main() -> None:
    """Run the query API."""
    settings = QueryApiSettings()
    run_process("query-api", settings, lambda: built(settings))


@asynccontextmanager
async def built(settings: QueryApiSettings) -> AsyncIterator[Running]:
    """The process's services; the port is bound, so that an occupied one is told at once."""
    app = create_app(settings)
    server = HttpServer(app, settings.host, settings.port, name="query_api")
    server.bind()
    yield Running(services=[LongPolls(app), server])


class LongPolls:
    """Ends long polls when the process drains: nobody should have to wait for their time."""

    name = "long_polls"

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._drained = asyncio.Event()

    async def run(self) -> None:
        """Do nothing until drained."""
        await self._drained.wait()

    def drain(self) -> None:
        """Answer everybody who waits for a change."""
        self._drained.set()
        resources: Resources | None = getattr(self._app.state, "resources", None)
        if resources is not None:
            resources.watch.end()


if __name__ == "__main__":
    main()
