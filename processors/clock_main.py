"""The clock process: turns the passing of time into facts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from events.contracts.subjects import LOG_APPENDED
from events.store.repository import open_repository
from infrastructure.blobs.location import blob_store_at
from infrastructure.broker import Broker
from infrastructure.leadership import Leadership
from infrastructure.periodic import ServiceLoop
from infrastructure.postgres import Role, create_pool
from infrastructure.process import Running, run_process
from infrastructure.settings import BlobSettings, NatsSettings, PostgresSettings, ProcessSettings
from processors.clock_service import ClockService
from processors.settings import ClockSettings
from processors.sweeps import PostgresSweeps

NAME: Final = "clock"
IDLE_SECONDS: Final = 2.0
"""Between two looks while nothing runs, nothing is about to fall due, and nothing happens."""
PAUSE_SECONDS_MAX: Final = 2.0


class Settings(ClockSettings, PostgresSettings, NatsSettings, BlobSettings, ProcessSettings):
    """All that the clock is told."""


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings()
    run_process(NAME, settings, lambda: build(settings))


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Running]:
    """The clock on its connections."""
    wake = asyncio.Event()
    broker = Broker(settings, f"magictoolbox {NAME}")
    await broker.start()
    pool = await create_pool(settings, Role.PROCESSORS)
    repository = open_repository(
        settings, Role.PROCESSORS, pool, lambda _: broker.ring(LOG_APPENDED)
    )
    blobs = blob_store_at(settings)
    lead = Leadership(settings.dsn, Role.PROCESSORS, NAME)
    clock = ClockService(lead, PostgresSweeps(settings.dsn), repository, blobs, settings, wake=wake)
    loop = ServiceLoop(
        clock, wake=wake, idle_seconds=IDLE_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX
    )
    try:
        await broker.subscribe(LOG_APPENDED, lambda _: clock.hear())
        yield Running([loop], {"nats": broker.check(critical=False), NAME: loop.check})
    finally:
        await repository.close()
        await blobs.close()
        await broker.stop()
        pool.terminate()
