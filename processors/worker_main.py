"""A worker process: runs jobs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import structlog

from events.contracts.subjects import LOG_APPENDED
from events.store.log import PostgresLog
from events.store.repository import Repository, open_repository
from events.store.sealing import Sealer
from infrastructure.blobs.base import BlobStore
from infrastructure.blobs.location import blob_store_at
from infrastructure.broker import Broker
from infrastructure.clock import SystemClock
from infrastructure.health import Check, Probe
from infrastructure.ids import uuid7
from infrastructure.periodic import ServiceLoop
from infrastructure.postgres import Pool, Role, create_pool
from infrastructure.process import Running, run_process
from infrastructure.scanner import scanner_at
from infrastructure.settings import (
    BlobSettings,
    NatsSettings,
    PostgresSettings,
    ProcessSettings,
    ScannerSettings,
    SealingSettings,
)
from processors.attempt import Equipment
from processors.attempt_logs import AttemptLogs, PostgresLogStore
from processors.claims import Claims
from processors.files import Files
from processors.keys import Keys
from processors.lease import Leases, PostgresBeats
from processors.leftovers import LOOK_SECONDS, Leftovers
from processors.offers import ToolOffers
from processors.presence import PostgresRegister
from processors.reports import Reports
from processors.sandbox.demands import unmet
from processors.sandbox.inline import InlineRunner
from processors.sandbox.run import Isolation
from processors.sandbox.runner import INSTALLED, Sandbox
from processors.sandbox.zygote import registry_from
from processors.scanning import OutputScan
from processors.settings import WorkerSettings
from processors.slots import Slots
from processors.tools.registry import Registry
from processors.worker import Worker

NAME: Final = "worker"

log = structlog.get_logger(__name__)


class Settings(
    WorkerSettings,
    PostgresSettings,
    NatsSettings,
    BlobSettings,
    SealingSettings,
    ScannerSettings,
    ProcessSettings,
):
    """All that a worker is told."""


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings()
    run_process(NAME, settings, lambda: build(settings))


@asynccontextmanager
async def build(settings: Settings, tools: str = INSTALLED) -> AsyncIterator[Running]:
    """A worker on its connections; `tools` names the function that gives its registry."""
    async with AsyncExitStack() as stack:
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        broker = Broker(settings, f"magictoolbox {NAME}")
        await broker.start()
        stack.push_async_callback(broker.stop)
        pool = await create_pool(settings, Role.PROCESSORS)
        stack.callback(pool.terminate)
        blobs = blob_store_at(settings)
        stack.push_async_callback(blobs.close)
        repository = open_repository(
            settings, Role.PROCESSORS, pool, lambda _: broker.ring(LOG_APPENDED)
        )
        stack.push_async_callback(repository.close)
        beats = PostgresBeats(settings.dsn)
        stack.push_async_callback(beats.close)
        sandbox = Sandbox(tools)
        stack.push_async_callback(sandbox.stop)
        await sandbox.start()
        registry = _offered(registry_from(tools), sandbox.isolation, settings)
        worker = _worker(settings, registry, sandbox, broker, pool, repository, blobs, beats)
        checks = {
            "nats": broker.check(),
            "postgres": Check(_answers(pool)),
            "isolation": Check(_isolation_of(sandbox), critical=False),
            "scanner": Check(scanner_at(settings.clamd_url).check, critical=False),
            **worker.checks,
        }
        leftovers = ServiceLoop(Leftovers(settings.folder), idle_seconds=LOOK_SECONDS)
        yield Running([worker, leftovers], checks)


def _worker(
    settings: Settings,
    registry: Registry,
    sandbox: Sandbox,
    broker: Broker,
    pool: Pool,
    repository: Repository,
    blobs: BlobStore,
    beats: PostgresBeats,
) -> Worker:
    # New at each boot: a worker that comes back under an old name would be taken for the old one.
    identity = str(uuid7())
    clock, postgres_log = SystemClock(), PostgresLog(pool)
    reports = Reports(repository, postgres_log, identity, clock)
    inline = InlineRunner(registry) if settings.run_trusted_inline else None
    slots = Slots(settings.sandboxes, settings.inline_slots if inline else 0)
    equipment = Equipment(
        keys=Keys(postgres_log, Sealer(settings)),
        files=Files(blobs),
        leases=Leases(identity, beats, repository, settings.beat_seconds),
        reports=reports,
        ring=broker.ring,
        logs=AttemptLogs(PostgresLogStore(pool, settings.attempt_log_days)),
        scan=OutputScan(scanner_at(settings.clamd_url)),
        folder=settings.folder,
    )
    return Worker(
        broker,
        Claims(repository, registry, reports, slots, sandbox, inline),
        slots,
        equipment,
        [sandbox, inline] if inline else [sandbox],
        offer_tools=lambda: ToolOffers(repository, identity, clock).offer(registry),
        register=PostgresRegister(pool),
        drain_seconds=settings.drain_seconds,
    )


def _offered(registry: Registry, isolation: Isolation, settings: Settings) -> Registry:
    """The tools that can be walled in as well as they and the settings ask."""
    reasons = unmet(
        registry.available(), isolation, settings.min_isolation, inline=settings.run_trusted_inline
    )
    for name, reason in reasons.items():
        log.warning("tool_unavailable", tool_id=name, reason=reason)
    return registry.without(reasons)


def _isolation_of(sandbox: Sandbox) -> Probe:
    async def probe() -> str | None:
        level, missing = sandbox.isolation.level, sandbox.isolation.missing
        return f"{level}; missing: {'; '.join(missing)}" if missing else level

    return probe


def _answers(pool: Pool) -> Probe:
    async def probe() -> str | None:
        await pool.fetchval("SELECT 1")
        return None

    return probe
