"""One world: a storm of work and faults, then calm, then what must be true in every world."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

from events.contracts.limit import LimitScope
from events.contracts.values import PLATFORM_TENANT, Origin
from events.contracts.workflow import WorkflowStatus
from events.domain.errors import DomainError
from events.domain.job import Job
from events.domain.limit import Bounds, Limit
from events.domain.schedule import Schedule
from events.domain.workflow import Workflow
from events.store.append import Command, CommandRepeated, LogUnavailable
from events.store.memory import MemoryLog
from events.store.repository import Repository, StreamConflict
from events.store.sealing import Sealer
from infrastructure.blobs.memory import MemoryBlobStore
from infrastructure.ids import uuid7
from processors.sweeper.memory import MemoryReferences
from processors.work_memory import MemoryWork
from processors.workflow_checkpoint import MemoryWorkflowCheckpoint
from tests.simulation import orders
from tests.simulation.nats_server import SimNats
from tests.simulation.postgres import Leads, LogPort
from tests.simulation.process import SimProcess, Weather
from tests.simulation.read_models import ReadModels
from tests.simulation.services import SEALING, STARTS, KeptLogs, Outside
from tests.simulation.virtual_time import VirtualClock, VirtualLoop

TENANTS: Final = ("acme", "globex")
STORM_SECONDS_MAX: Final = 8.0
CALM_SECONDS_MAX: Final = 600.0
LOOK_SECONDS: Final = 0.25
RESTART_SECONDS_MAX: Final = 2.0
OUTAGE_SECONDS_MAX: Final = 4.0
FREEZE_SECONDS_MAX: Final = 6.0
PAUSE_SECONDS_MAX: Final = 1.2
WORKFLOWS: Final = 0.2
SCHEDULES: Final = 0.1
LIMITED: Final = 0.4
"""How much of what is asked for is a workflow, or a schedule."""
PESTERINGS: Final = 20
"""How often somebody looks for a job of a workflow to call off."""


class Unsettled(AssertionError):
    """The faults are over, and still something did not come to its end."""


@dataclass
class Place:
    """Where one process of a kind runs; after a death another one does."""

    kind: str
    process: SimProcess | None = None


@dataclass
class World:
    """See above."""

    seed: int
    loop: VirtualLoop
    folder: Path
    accepted: list[UUID] = field(default_factory=list)
    """The jobs of which a client was told that they are accepted."""
    workflows: list[UUID] = field(default_factory=list)
    """The same of workflows."""
    dead_workers: set[str] = field(default_factory=set)
    """Workers that were killed or frozen, by identity."""
    schedules: list[UUID] = field(default_factory=list)
    """The same of schedules; they are deleted when the storm is over."""
    limited: str | None = None
    """The tenant of which one job may run at a time; the platform stands for all of them."""
    has_killed: bool = False
    """Whether some process was killed: what it had begun to store may be left."""
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        # Of its own, so that the worlds of known seeds go on as they did.
        self.dice_of_steps = random.Random(self.seed + 4)
        self.weather = Weather()
        clock = VirtualClock(self.loop)
        log = MemoryLog(clock)
        self.outside = Outside(
            log=log,
            work=MemoryWork(),
            models=ReadModels(),
            blobs=MemoryBlobStore(clock=clock),
            nats=SimNats(random.Random(self.seed + 1)),
            leads=Leads(),
            logs=KeptLogs(),
            checkpoint=MemoryWorkflowCheckpoint(),
            references=MemoryReferences(log),
            clock=clock,
            folder=self.folder,
            dice=random.Random(self.seed + 2),
        )
        self.places = [Place(kind) for kind in STARTS for _ in range(self.dice.randint(1, 2))]
        self._client = SimProcess("client", random.Random(self.seed + 3), self.weather)
        port = LogPort(self._client, self.outside.log)
        self.repository = Repository(cast(Any, port), port)
        self._everybody: list[SimProcess] = []
        self._is_over = False

    # -- the course of a world -------------------------------------------------------------------

    async def run(self) -> None:
        """Storm, calm, end; raises Unsettled."""
        for place in self.places:
            self._start(place)
        async with asyncio.timeout(STORM_SECONDS_MAX + CALM_SECONDS_MAX + OUTAGE_SECONDS_MAX):
            await asyncio.gather(self._work(), self._storm(), self._pester())
        self._clear_up()
        for schedule_id in self.schedules:
            await self.repository.change(
                Schedule,
                schedule_id,
                lambda schedule: schedule.delete(self._origin(schedule.tenant)),
            )
        await self._settled()
        if await self._tried_again():
            await self.kill_one()
            self._clear_up()
            await self._settled()

    async def end(self) -> None:
        """Kill what is left."""
        self._is_over = True
        for process in self._everybody:
            process.kill()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _storm(self) -> None:
        acts = self.dice.sample(_ACTS, self.dice.randint(1, 4))
        if self.dice.random() < 0.5:
            self.weather.slow, self.weather.refused, self.weather.answer_lost = 0.1, 0.01, 0.02
        ends = self.loop.time() + self.dice.uniform(1.0, STORM_SECONDS_MAX)
        while self.loop.time() < ends:
            await asyncio.sleep(self.dice.uniform(0.0, PAUSE_SECONDS_MAX))
            act = self.dice.choice(acts)
            self.faults.append(f"{self.loop.time():.3f} {act.__name__}")
            await act(self)

    def _clear_up(self) -> None:
        self.weather.slow = self.weather.refused = self.weather.answer_lost = 0.0
        self.weather.is_postgres_away = False
        self.outside.nats.start()
        for link in self.outside.nats.links:
            link.is_bad = False
        for place in self.places:
            process = place.process
            if process is not None:
                process.dies_in = None
                process.thaw()
            if process is None or not process.alive:
                self._start(place)

    async def _tried_again(self) -> bool:
        """Whether there were workflows without success; all of them have another round."""
        tried = False
        for workflow_id in self.workflows:
            workflow = await self.repository.load(Workflow, workflow_id)
            if workflow.status is not WorkflowStatus.SUCCEEDED:
                workflow.reopen(None, self._origin(workflow.tenant))
                await self.repository.save(workflow)
                tried = True
        return tried

    async def _settled(self) -> None:
        deadline = self.loop.time() + CALM_SECONDS_MAX
        while not await self._is_settled():
            if self.loop.time() > deadline:
                raise Unsettled(await self._state())
            await asyncio.sleep(LOOK_SECONDS)

    async def _is_settled(self) -> bool:
        head = await self.outside.log.head()
        behind = self.outside.work.position, self.outside.models.position
        if any(position < head for position in behind) or self.outside.work.jobs:
            return False
        for workflow_id in self.workflows:
            if not (await self.repository.load(Workflow, workflow_id)).status.is_final:
                return False
        events = self.outside.nats.streams.get("EVENTS")
        # Something may have been appended since the first look.
        return events is not None and events.last == head == await self.outside.log.head()

    async def _state(self) -> str:
        jobs = [await self.repository.load(Job, job_id) for job_id in self.accepted]
        states = [f"{job.id} {job.status} lease {job.lease}" for job in jobs]
        positions = [await self.outside.log.head(), self.outside.work.position]
        events = self.outside.nats.streams.get("EVENTS")
        last = events.last if events else None
        return (
            f"{Unsettled.__doc__}\nhead and work at {positions}, read models at"
            f" {self.outside.models.position}, stream at {last}\n{states}\n{self.faults}"
        )

    def _start(self, place: Place) -> None:
        process = SimProcess(place.kind, random.Random(self.dice.random()), self.weather)
        place.process = process
        self._everybody.append(process)
        process.on_death.append(self._note_kill)
        STARTS[place.kind](process, self.outside)
        if place.kind == "worker":
            identity = process.name.removeprefix("worker ")
            process.on_death.append(lambda: self._note_death(identity))

    async def recorded(self) -> list[tuple[str, str]]:
        """What was recorded, and when."""
        rows = await self.outside.log.read_after(0)
        return [(row.topic, row.recorded_at.isoformat()) for row in rows]

    def _note_kill(self) -> None:
        self.has_killed = self.has_killed or not self._is_over

    def _note_death(self, worker: str) -> None:
        if not self._is_over:
            self.dead_workers.add(worker)

    # -- clients ---------------------------------------------------------------------------------

    async def _work(self) -> None:
        if self.dice.random() < LIMITED:
            await self._limit(PLATFORM_TENANT if self.seed % 2 else TENANTS[0])
        for _ in range(self.dice.randint(1, 7)):
            await asyncio.sleep(self.dice.uniform(0.0, PAUSE_SECONDS_MAX))
            await self._submit()
            if self.accepted and self.dice.random() < 0.3:
                await self._meddle(Job, self.dice.choice(self.accepted))
            if self.workflows and self.dice.random() < 0.2:
                await self._meddle(Workflow, self.dice.choice(self.workflows))

    async def _limit(self, tenant: str) -> None:
        """Let one job of a tenant run at a time, or of all, from before there are any."""
        self.limited = tenant
        is_of_all = tenant == PLATFORM_TENANT
        counted = (LimitScope.TOOL, orders.TOOL) if is_of_all else (LimitScope.TENANT, "")
        command = Command(uuid7(), tenant, b"the same", uuid7())
        while True:
            origin = self._origin(tenant)
            limit = Limit.introduce(*counted, None, origin)
            limit.set(Bounds(concurrency=1), origin)
            try:
                await self.repository.save(limit, command=command)
            except LogUnavailable:
                await asyncio.sleep(0.1)
                continue
            except CommandRepeated:
                pass
            return

    async def _submit(self) -> None:
        tenant = self.dice.choice(TENANTS)
        chance = self.dice.random()
        if chance < SCHEDULES:
            self.schedules.append(await self._accepted(tenant, orders.schedule(self.dice)))
        elif chance < SCHEDULES + WORKFLOWS:
            self.workflows.append(await self._accepted(tenant, orders.workflow(self.dice)))
        else:
            self.accepted.append(await self._accepted(tenant, orders.job(self.dice)))

    async def _accepted(self, tenant: str, order: orders.Order) -> UUID:
        """Ask until there is an answer, as a client with an idempotency key does."""
        aggregate_id = uuid7()
        command = Command(uuid7(), tenant, b"the same", aggregate_id)
        while True:
            seal, key = Sealer(SEALING).new_key(aggregate_id, tenant, "user:1")
            aggregate = order(aggregate_id, seal, self._origin(tenant))
            try:
                await self.repository.save(aggregate, command=command, keys=[key])
            except LogUnavailable:
                await asyncio.sleep(0.1)
                continue
            except CommandRepeated:
                # The answer to an earlier try was lost.
                pass
            return aggregate_id

    async def _pester(self) -> None:
        """Do to jobs of workflows what is meant for jobs without one, best to one of several."""
        dice = self.dice_of_steps
        for _ in range(PESTERINGS):
            await asyncio.sleep(dice.uniform(0.0, PAUSE_SECONDS_MAX))
            if not self.workflows:
                continue
            try:
                workflow = await self.repository.load(Workflow, dice.choice(self.workflows))
            except (LogUnavailable, ConnectionError):
                continue
            jobs = [state.jobs for state in workflow.steps.values() if state.jobs]
            if jobs and (len(max(jobs, key=len)) > 1 or dice.random() < 0.1):
                await self._meddle(Job, dice.choice(max(jobs, key=len)))

    async def _meddle(self, kind: type[Job] | type[Workflow], aggregate_id: UUID) -> None:
        """Call something off, or try it again; what is not possible is refused."""
        verb = self.dice.choice(["cancel", "reopen"])

        def decide(aggregate: Job | Workflow) -> None:
            origin = self._origin(aggregate.tenant)
            if verb == "cancel":
                aggregate.cancel(origin)
            elif isinstance(aggregate, Job):
                aggregate.reopen(origin)
            else:
                aggregate.reopen(None, origin)

        try:
            await self.repository.change(kind, aggregate_id, decide)
        except (DomainError, LogUnavailable, StreamConflict, ConnectionError):
            return

    def _origin(self, tenant: str) -> Origin:
        now = self.outside.clock.now()
        return Origin(tenant, "user:1", str(uuid7()), "request", "request", now)

    # -- faults ----------------------------------------------------------------------------------

    def _victim(self) -> Place:
        return self.dice.choice(self.places)

    async def kill_one(self) -> None:
        """A process is killed wherever it is, and started again after a while."""
        place = self._victim()
        if place.process is not None and place.process.alive:
            if self.dice.random() < 0.5:
                place.process.dies_in = self.dice.randint(1, 40)
            else:
                place.process.kill()
        await asyncio.sleep(self.dice.uniform(0.0, RESTART_SECONDS_MAX))
        if place.process is not None and not place.process.alive:
            self._start(place)

    async def kill_all(self) -> None:
        """Every process and NATS at once."""
        for place in self.places:
            if place.process is not None:
                place.process.kill()
        self.outside.nats.kill()
        await asyncio.sleep(self.dice.uniform(0.0, RESTART_SECONDS_MAX))
        self.outside.nats.start()
        for place in self.places:
            self._start(place)

    async def freeze_one(self) -> None:
        """A process stops and goes on later, as if nothing had been."""
        process = self._victim().process
        if process is None or not process.alive:
            return
        if process.name.startswith("worker "):
            self.dead_workers.add(process.name.removeprefix("worker "))
        process.freeze()
        self.loop.call_later(self.dice.uniform(0.5, FREEZE_SECONDS_MAX), process.thaw)

    async def restart_postgres(self) -> None:
        """PostgreSQL is away for a while, for everybody."""
        self.weather.is_postgres_away = True
        await asyncio.sleep(self.dice.uniform(0.1, OUTAGE_SECONDS_MAX))
        self.weather.is_postgres_away = False

    async def restart_nats(self) -> None:
        """NATS is killed and comes back."""
        self.outside.nats.kill()
        await asyncio.sleep(self.dice.uniform(0.0, OUTAGE_SECONDS_MAX))
        self.outside.nats.start()

    async def wipe_nats(self) -> None:
        """NATS loses everything."""
        self.outside.nats.kill()
        self.outside.nats.wipe()
        await asyncio.sleep(self.dice.uniform(0.0, OUTAGE_SECONDS_MAX))
        self.outside.nats.start()

    async def delete_ready(self) -> None:
        """Somebody deletes the stream of offers."""
        self.outside.nats.delete("READY")

    async def cut_link(self) -> None:
        """A connection to NATS breaks."""
        if self.outside.nats.links:
            self.outside.nats.cut(self.dice.choice(self.outside.nats.links))

    async def slow_links(self) -> None:
        """Some connections to NATS become slow."""
        for link in self.outside.nats.links:
            link.is_bad = self.dice.random() < 0.5

    async def lose_lead(self) -> None:
        """A leader's connection to its lock breaks, and somebody else may lead."""
        duty = self.dice.choice(["relay", "dispatcher", "clock", "projector"])
        self.outside.leads.lose(duty)


Act = Callable[[World], Any]

_ACTS: Final[list[Act]] = [
    World.kill_one,
    World.kill_one,
    World.kill_all,
    World.freeze_one,
    World.restart_postgres,
    World.restart_postgres,
    World.restart_nats,
    World.wipe_nats,
    World.delete_ready,
    World.cut_link,
    World.slow_links,
    World.lose_lead,
]
