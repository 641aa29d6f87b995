"""The process `query-api`: reads its settings once, serves until SIGTERM or SIGINT, drains."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infrastructure.http.server import HttpServer
from infrastructure.process import Running, run_process
from query_api.app import create_app
from query_api.settings import QueryApiSettings


def main() -> None:
    """Run the query API."""
    settings = QueryApiSettings()

    @asynccontextmanager
    async def build() -> AsyncIterator[Running]:
        app = create_app(settings)
        server = HttpServer(app, settings.host, settings.port, name="query_api")
        server.bind()
        yield Running(services=[server])

    run_process("query-api", settings, build)


if __name__ == "__main__":
    main()
