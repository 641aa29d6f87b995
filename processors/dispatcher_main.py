"""The dispatcher process: turns the log into offers for workers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from events.contracts.subjects import LOG_APPENDED
from infrastructure.broker import Broker
from infrastructure.leadership import Leadership
from infrastructure.periodic import ServiceLoop
from infrastructure.postgres import Role
from infrastructure.process import Running, run_process
from infrastructure.settings import NatsSettings, PostgresSettings, ProcessSettings
from processors.dispatcher import Dispatcher
from processors.ready import JetStreamReady
from processors.settings import DispatcherSettings
from processors.tail import PostgresTail
from processors.work import PostgresWork

NAME: Final = "dispatcher"
POLL_SECONDS: Final = 2.0
"""How late an event is at most whose poke was lost."""
PAUSE_SECONDS_MAX: Final = 2.0


class Settings(DispatcherSettings, PostgresSettings, NatsSettings, ProcessSettings):
    """All that the dispatcher is told."""


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings()
    run_process(NAME, settings, lambda: build(settings))


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Running]:
    """The dispatcher on its connections."""
    wake = asyncio.Event()
    broker = Broker(settings, f"magictoolbox {NAME}")
    tail, work, ready = (
        PostgresTail(settings.dsn),
        PostgresWork(settings.dsn),
        JetStreamReady(broker),
    )
    lead = Leadership(settings.dsn, Role.PROCESSORS, NAME)
    dispatcher = Dispatcher(lead, tail, work, ready, settings, wake=wake)
    loop = ServiceLoop(
        dispatcher, wake=wake, idle_seconds=POLL_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX
    )
    await broker.start()
    try:
        await broker.subscribe(LOG_APPENDED, lambda _: wake.set())
        yield Running([loop], {"nats": broker.check(), NAME: loop.check})
    finally:
        await ready.close()
        await tail.close()
        await work.close()
        await broker.stop()
