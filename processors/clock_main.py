"""The clock process: turns the passing of time into facts, moves workflows on, sweeps blobs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from events.contracts.bulk import BulkCancelled, BulkRequested
from events.contracts.subjects import LOG_APPENDED, events_of
from events.store.log import PostgresLog
from events.store.repository import Repository, open_repository
from events.store.scheduled_jobs import ScheduledJobs
from events.store.sealing import Sealer
from infrastructure.blobs.location import blob_store_at
from infrastructure.broker import Broker
from infrastructure.leadership import Leadership
from infrastructure.periodic import ServiceLoop
from infrastructure.postgres import Role, create_pool
from infrastructure.process import Running, run_process
from infrastructure.settings import (
    BlobSettings,
    NatsSettings,
    PostgresSettings,
    ProcessSettings,
    SealingSettings,
)
from processors.bulk.index import PostgresBulkIndex
from processors.bulk.service import BulkService
from processors.clock_service import ClockService
from processors.settings import BulkSettings, ClockSettings, SweeperSettings
from processors.sweeper.wiring import sweeper_loop
from processors.sweeps import PostgresSweeps
from processors.workflow_wiring import workflow_loop

NAME: Final = "clock"
IDLE_SECONDS: Final = 2.0
"""Between two looks while nothing runs, nothing is about to fall due, and nothing happens."""
PAUSE_SECONDS_MAX: Final = 0.5
"""Between two tries while PostgreSQL is away; until one succeeds no silence is watched."""
BULK_IDLE_SECONDS: Final = 20.0
"""How late a bulk operation begins at most whose poke was lost."""


class Settings(
    ClockSettings,
    BulkSettings,
    SweeperSettings,
    PostgresSettings,
    NatsSettings,
    BlobSettings,
    SealingSettings,
    ProcessSettings,
):
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
    schedules = ScheduledJobs(repository, PostgresLog(pool), Sealer(settings))
    clock = ClockService(
        lead,
        PostgresSweeps(settings.dsn),
        repository,
        blobs,
        settings,
        schedules=schedules,
        wake=wake,
    )
    loop = ServiceLoop(
        clock, wake=wake, idle_seconds=IDLE_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX
    )
    bulk, bulk_loop = _bulk(settings, repository, broker)

    def hear(_: object) -> None:
        clock.hear()
        bulk.hear()

    try:
        await broker.subscribe(LOG_APPENDED, hear)
        for fact in (BulkRequested, BulkCancelled):
            await broker.subscribe(events_of(fact.TOPIC), lambda _: bulk.hurry())
        workflows = await workflow_loop(settings, settings, pool, repository, blobs, broker)
        sweeper = sweeper_loop(settings, settings, blobs)
        checks = {
            "nats": broker.check(critical=False),
            NAME: loop.check,
            bulk.name: bulk_loop.check,
            workflows.name: workflows.check,
            sweeper.name: sweeper.check,
        }
        yield Running([loop, bulk_loop, workflows, sweeper], checks)
    finally:
        await repository.close()
        await blobs.close()
        await broker.stop()
        pool.terminate()


def _bulk(
    settings: Settings, repository: Repository, broker: Broker
) -> tuple[BulkService, ServiceLoop]:
    """The bulk operations, which wait for time too: theirs is given to them little by little."""
    wake = asyncio.Event()
    service = BulkService(
        Leadership(settings.dsn, Role.PROCESSORS, BulkService.name),
        PostgresBulkIndex(settings.dsn),
        repository,
        broker.ring,
        settings,
        wake=wake,
    )
    loop = ServiceLoop(
        service,
        wake=wake,
        idle_seconds=BULK_IDLE_SECONDS,
        stale_seconds=3 * BULK_IDLE_SECONDS,
        pause_seconds_max=PAUSE_SECONDS_MAX,
    )
    return service, loop
