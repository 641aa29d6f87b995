"""The process `command-api`: reads its settings once, serves until SIGTERM or SIGINT, drains."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from command_api.app import create_app
from command_api.lifespan import PROCESS
from command_api.settings import CommandApiSettings
from infrastructure.http.server import HttpServer
from infrastructure.process import Running, run_process


def main() -> None:
    """Run the command API."""
    settings = CommandApiSettings()

    @asynccontextmanager
    async def build() -> AsyncIterator[Running]:
        server = HttpServer(create_app(settings), settings.host, settings.port, name="command_api")
        server.bind()
        yield Running(services=[server])

    run_process(PROCESS, settings, build)


if __name__ == "__main__":
    main()
