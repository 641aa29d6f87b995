"""Puts the manager of workflows together, as a second service of the clock's process."""

import asyncio
from typing import Final

from events.contracts.subjects import LOG_APPENDED, cancel_subject
from events.store.log import PostgresLog
from events.store.repository import Repository
from events.store.sealing import Sealer
from infrastructure.blobs.base import BlobStore
from infrastructure.broker import Broker
from infrastructure.leadership import Leadership
from infrastructure.periodic import ServiceLoop
from infrastructure.postgres import Pool, Role
from infrastructure.settings import PostgresSettings, SealingSettings
from processors.keys import Keys
from processors.workflow_checkpoint import PostgresWorkflowCheckpoint
from processors.workflow_jobs import JobMaker
from processors.workflow_manager import WorkflowManager
from processors.workflow_tail import PostgresWorkflowTail

IDLE_SECONDS: Final = 5.0
"""How late an event is at most whose poke was lost."""
PAUSE_SECONDS_MAX: Final = 2.0
RUN_SECONDS_MAX: Final = 600.0
"""A step's inputs are copied in a run; large ones take their time."""


async def workflow_loop(
    postgres: PostgresSettings,
    sealing: SealingSettings,
    pool: Pool,
    repository: Repository,
    blobs: BlobStore,
    broker: Broker,
) -> ServiceLoop:
    """The manager on the connections of its process; it hears what is appended."""
    wake = asyncio.Event()
    sealer = Sealer(sealing)
    manager = WorkflowManager(
        Leadership(postgres.dsn, Role.PROCESSORS, WorkflowManager.name),
        PostgresWorkflowTail(postgres.dsn),
        PostgresWorkflowCheckpoint(postgres.dsn),
        repository,
        blobs,
        JobMaker(repository, Keys(PostgresLog(pool), sealer), sealer),
        job_cancelled=lambda job_id: broker.ring(cancel_subject(str(job_id))),
        wake=wake,
    )
    await broker.subscribe(LOG_APPENDED, lambda _: manager.hear())
    return ServiceLoop(
        manager,
        wake=wake,
        idle_seconds=IDLE_SECONDS,
        run_seconds_max=RUN_SECONDS_MAX,
        stale_seconds=RUN_SECONDS_MAX,
        pause_seconds_max=PAUSE_SECONDS_MAX,
    )
