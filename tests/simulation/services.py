"""Starts the product's services as processes of the world, each on ports of its own."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

from events.contracts.subjects import LOG_APPENDED, cancel_subject
from events.relay.publisher import Relay
from events.store.memory import MemoryLog
from events.store.repository import Repository
from events.store.scheduled_jobs import ScheduledJobs
from events.store.sealing import Sealer
from infrastructure.blobs.memory import MemoryBlobStore
from infrastructure.ids import uuid7
from infrastructure.periodic import ServiceLoop
from infrastructure.settings import NatsSettings, PostgresSettings, SealingSettings
from processors.attempt import Equipment
from processors.attempt_logs import AttemptLog, AttemptLogs
from processors.claims import Claims
from processors.clock_service import ClockService
from processors.dispatcher import Dispatcher
from processors.files import Files
from processors.keys import Keys
from processors.lease import Leases
from processors.offers import ToolOffers
from processors.presence import MemoryRegister
from processors.ready import JetStreamReady
from processors.reports import Reports
from processors.sandbox.inline import InlineRunner
from processors.settings import ClockSettings, DispatcherSettings, SweeperSettings
from processors.slots import Slots
from processors.sweeper.inspection import Inspection
from processors.sweeper.memory import MemoryReferences
from processors.sweeper.service import SweeperService
from processors.work_memory import MemoryBeats, MemorySweeps, MemoryWork
from processors.worker import Worker
from processors.workflow_checkpoint import MemoryWorkflowCheckpoint
from processors.workflow_jobs import JobMaker
from processors.workflow_manager import WorkflowManager
from processors.workflow_tail import PlainWorkflowTail
from projectors.announcements import Announcer
from projectors.group import Group
from projectors.live_feed import LiveFeed
from projectors.runner import Runner
from tests.simulation.intake import SimIntake
from tests.simulation.nats_client import SimBroker
from tests.simulation.nats_server import SimNats
from tests.simulation.postgres import CheckpointsPort, LeadPort, Leads, LogEndPort, LogPort
from tests.simulation.process import DiskPort, Port, SimProcess
from tests.simulation.read_models import ReadModels, TablesPort
from tests.simulation.tool import registry
from tests.simulation.virtual_time import VirtualClock

BEAT_SECONDS: Final = 0.5
LEASE_SECONDS: Final = 2.0
RECONNECT_SECONDS: Final = 1.0
PAUSE_SECONDS_MAX: Final = 1.0
IDLE_SECONDS: Final = 2.0
GRACE_SECONDS: Final = 7.0
"""A little longer than a process may stand still."""
CONFIRM_SECONDS: Final = 4.0
"""A little longer than whoever waits for PostgreSQL pauses."""
PASS_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 1.0
SEALING: Final = SealingSettings(sealing_key="only-for-tests-0123456789abcdef0123")  # type: ignore[arg-type]
TOOLS: Final = registry()
ANYWHERE: Final = "postgresql://nobody@nowhere/none"


class KeptLogs:
    """The logs of attempts."""

    def __init__(self) -> None:
        self.kept: dict[tuple[UUID, int], AttemptLog] = {}

    async def keep(self, kept: AttemptLog) -> None:
        """See `LogStore.keep`."""
        self.kept.setdefault((kept.job_id, kept.lease), kept)


@dataclass
class Outside:
    """Everything that outlives a process."""

    log: MemoryLog
    work: MemoryWork
    models: ReadModels
    blobs: MemoryBlobStore
    nats: SimNats
    leads: Leads
    logs: KeptLogs
    checkpoint: MemoryWorkflowCheckpoint
    references: MemoryReferences
    clock: VirtualClock
    folder: Path
    dice: random.Random

    def slowest(self) -> int:
        """How far the slowest reader of the stream has come."""
        return min(self.work.position, self.models.position)


def start_relay(process: SimProcess, outside: Outside) -> None:
    """The relay process."""
    broker = SimBroker(process, outside.nats)
    relay = Relay(
        cast(Any, broker),
        PostgresSettings(database_url=ANYWHERE),
        NatsSettings(),
        answer_seconds_max=1.0,
        stuck_seconds_max=5.0,
        clock=outside.clock,
        log_end=LogEndPort(process, outside.log),
        checkpoints=CheckpointsPort(process, outside.slowest),
        leadership=LeadPort(process, outside.leads, "relay"),
    )
    loop = ServiceLoop(relay, idle_seconds=IDLE_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX)
    process.run(_woken(broker, loop, loop.wake))


def start_dispatcher(process: SimProcess, outside: Outside) -> None:
    """The dispatcher process."""
    wake = asyncio.Event()
    broker = SimBroker(process, outside.nats)
    dispatcher = Dispatcher(
        LeadPort(process, outside.leads, "dispatcher"),
        cast(Any, LogPort(process, outside.log)),
        cast(Any, Port(process, outside.work)),
        JetStreamReady(cast(Any, broker)),
        DispatcherSettings(
            ready_depth=3, queue_front_max=4, persist_seconds=0.1, offer_seconds=0.5
        ),
        wake=wake,
        clock=outside.clock,
    )
    loop = ServiceLoop(
        dispatcher, wake=wake, idle_seconds=IDLE_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX
    )
    process.run(_woken(broker, loop, wake.set))


def start_clock(process: SimProcess, outside: Outside) -> None:
    """The clock process."""
    wake = asyncio.Event()
    broker = SimBroker(process, outside.nats)
    repository = _repository(process, outside, broker)
    log = cast(Any, LogPort(process, outside.log))
    clock = ClockService(
        LeadPort(process, outside.leads, "clock"),
        cast(Any, Port(process, MemorySweeps(outside.work, outside.clock))),
        repository,
        cast(Any, DiskPort(process, outside.blobs)),
        ClockSettings(
            lease_seconds=LEASE_SECONDS,
            beat_seconds=BEAT_SECONDS,
            sweep_seconds=0.3,
            worker_reconnect_seconds=RECONNECT_SECONDS,
        ),
        schedules=ScheduledJobs(repository, log, Sealer(SEALING)),
        wake=wake,
        clock=outside.clock,
    )
    loop = ServiceLoop(
        clock, wake=wake, idle_seconds=IDLE_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX
    )
    process.run(_woken(broker, loop, clock.hear))
    _start_workflows(process, outside, broker)
    _start_sweeper(process, outside)


def _start_sweeper(process: SimProcess, outside: Outside) -> None:
    """The sweeper, which lives with the clock, too."""
    sweeper = SweeperService(
        LeadPort(process, outside.leads, SweeperService.name),
        Inspection(
            cast(Any, Port(process, outside.references)),
            cast(Any, DiskPort(process, outside.blobs)),
            GRACE_SECONDS,
            outside.clock,
        ),
        # As often as no setting would allow.
        SweeperSettings.model_construct(blob_sweep=True, blob_sweep_seconds=PASS_SECONDS),
        confirm_seconds=CONFIRM_SECONDS,
        clock=outside.clock,
    )
    loop = ServiceLoop(sweeper, idle_seconds=LOOK_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX)
    process.run(loop.run())


def _start_workflows(process: SimProcess, outside: Outside, broker: SimBroker) -> None:
    """The manager of workflows, which lives with the clock."""
    wake = asyncio.Event()
    repository = _repository(process, outside, broker)
    log, sealer = cast(Any, LogPort(process, outside.log)), Sealer(SEALING)
    manager = WorkflowManager(
        LeadPort(process, outside.leads, WorkflowManager.name),
        PlainWorkflowTail(log),
        cast(Any, Port(process, outside.checkpoint)),
        repository,
        cast(Any, DiskPort(process, outside.blobs)),
        JobMaker(repository, Keys(log, sealer), sealer),
        job_cancelled=lambda job_id: broker.ring(cancel_subject(str(job_id))),
        wake=wake,
        clock=outside.clock,
    )
    loop = ServiceLoop(
        manager, wake=wake, idle_seconds=IDLE_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX
    )
    process.run(_woken(broker, loop, manager.hear))


def start_worker(process: SimProcess, outside: Outside) -> None:
    """A worker process."""
    broker = SimBroker(process, outside.nats)
    repository = _repository(process, outside, broker)
    log, identity = LogPort(process, outside.log), str(uuid7())
    reports = Reports(repository, cast(Any, log), identity, outside.clock)
    slots, runner = Slots(1, 2), InlineRunner(TOOLS)
    beats = Port(process, MemoryBeats(outside.work, outside.log, outside.clock))
    equipment = Equipment(
        keys=Keys(cast(Any, log), Sealer(SEALING)),
        files=Files(cast(Any, DiskPort(process, outside.blobs))),
        leases=Leases(identity, cast(Any, beats), repository, BEAT_SECONDS),
        reports=reports,
        ring=broker.ring,
        logs=AttemptLogs(cast(Any, Port(process, outside.logs))),
        folder=outside.folder,
    )
    worker = Worker(
        cast(Any, broker),
        Claims(repository, TOOLS, reports, slots, runner, runner),
        slots,
        equipment,
        [runner],
        offer_tools=lambda: ToolOffers(repository, identity, outside.clock).offer(TOOLS),
        register=cast(Any, Port(process, MemoryRegister())),
        drain_seconds=5.0,
    )
    process.name = f"worker {identity}"
    process.run(worker.run())


def start_projector(process: SimProcess, outside: Outside) -> None:
    """A projector process."""
    broker = SimBroker(process, outside.nats)
    group = Group()
    intake = SimIntake(process, outside.nats, outside.dice)
    runner = Runner(
        group,
        TablesPort(process, outside.models, group),
        cast(Any, LogPort(process, outside.log)),
        intake,
        LeadPort(process, outside.leads, "projector"),
        Announcer(group, broker.ring, LiveFeed()),
        _no_rebuild,
    )
    loop = ServiceLoop(runner, idle_seconds=IDLE_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX)
    intake.wake = loop.wake
    process.run(loop.run())


STARTS: Final = {
    "relay": start_relay,
    "dispatcher": start_dispatcher,
    "clock": start_clock,
    "worker": start_worker,
    "projector": start_projector,
}


async def _woken(broker: SimBroker, loop: ServiceLoop, wake: Callable[[], None]) -> None:
    await broker.subscribe(LOG_APPENDED, lambda _: wake())
    await loop.run()


def _repository(process: SimProcess, outside: Outside, broker: SimBroker) -> Repository:
    port = LogPort(process, outside.log, lambda: broker.ring(LOG_APPENDED))
    return Repository(cast(Any, port), port)


async def _no_rebuild() -> object:
    raise AssertionError("nothing here damages the read models")
