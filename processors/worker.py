"""Runs jobs: takes offers, claims them, runs their tools, reports what became of them.

At the end it takes nothing more, gives back what it has not claimed, and lets what runs finish.
What is still running then is killed and handed back, which does not count as an attempt.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import structlog
from nats.aio.msg import Msg

from events.contracts.subjects import cancel_subject
from events.store.repository import LogUnavailable, StreamConflict
from infrastructure import metrics
from infrastructure.broker import Broker
from infrastructure.health import Check, CheckFailed
from processors.attempt import Attempt, Ending, Equipment
from processors.claims import Claims
from processors.intake import Delivery, Intake
from processors.presence import Doing, Presence, Register
from processors.sandbox.run import Runner
from processors.slots import Slots

HAND_BACK_SECONDS_MAX: Final = 3.0
OFFER_PAUSE_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


class Worker:
    """One worker; see above."""

    name = "worker"

    def __init__(
        self,
        broker: Broker,
        claims: Claims,
        slots: Slots,
        equipment: Equipment,
        runners: list[Runner],
        offer_tools: Callable[[], Awaitable[int]],
        register: Register,
        drain_seconds: float,
    ) -> None:
        self.intake = Intake(broker, lambda: slots.free, self._take)
        self._broker = broker
        self._claims = claims
        self._slots = slots
        self._equipment = equipment
        self._runners = runners
        self._offer_tools = offer_tools
        self._presence = Presence(register, equipment.reports.worker, self._doing)
        self._drain_seconds = drain_seconds
        self._draining = asyncio.Event()
        self._handling: set[asyncio.Task[None]] = set()
        self._running: set[Attempt] = set()
        self._has_offered = False

    @property
    def checks(self) -> dict[str, Check]:
        """What readiness asks of a worker."""
        return {"offers": self.intake.check, "tools": Check(self._tools_offered)}

    def drain(self) -> None:
        """Take nothing more, and end when nothing runs."""
        self._draining.set()

    async def run(self) -> None:
        """Work until drained."""
        structlog.contextvars.bind_contextvars(worker=self._equipment.reports.worker)
        for runner in self._runners:
            await runner.start()
        metrics.WORKER_SLOTS.set(self._slots.size)
        # Asked for when somebody looks: thousands of jobs a second would pay for nothing.
        metrics.ATTEMPTS_RUNNING.set_function(lambda: len(self._running))
        listening = await self._broker.subscribe(cancel_subject("*"), self._hear_cancel)
        beating = asyncio.create_task(self._equipment.leases.run(), name="leases")
        offering = asyncio.create_task(self._offer_until_told(), name="tool_offers")
        taking = asyncio.create_task(self.intake.run(), name="intake")
        showing = asyncio.create_task(self._presence.run(), name="presence")
        background = [beating, offering, showing]
        try:
            await self._until_draining(taking, beating)
            await self._drain(taking)
        finally:
            self.intake.close()
            for task in (*background, *self._handling):
                task.cancel()
            await asyncio.gather(*background, *self._handling, taking, return_exceptions=True)
            await self._presence.leave()
            await listening.unsubscribe()
            for runner in self._runners:
                await runner.stop()

    async def _until_draining(self, *vital: asyncio.Task[None]) -> None:
        """Wait to be drained; what the worker cannot be without ends it with its own error."""
        draining = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait({draining, *vital}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            draining.cancel()
        for task in vital:
            if task.done():
                task.result()

    def _doing(self) -> Doing:
        sandboxed, sandboxes = self._slots.sandboxes
        inline, inline_max = self._slots.beside
        return Doing(
            isolation=self._runners[0].isolation.level,
            is_draining=self._draining.is_set(),
            sandboxes=sandboxes,
            sandboxes_busy=sandboxed,
            inline_slots=inline_max,
            inline_busy=inline,
        )

    async def _offer_until_told(self) -> None:
        while True:
            try:
                await self._offer_tools()
                break
            except (LogUnavailable, StreamConflict) as error:
                log.warning("tools_not_offered", error=type(error).__name__)
            except Exception:
                log.exception("tools_not_offered")
            await asyncio.sleep(OFFER_PAUSE_SECONDS)
        self._has_offered = True

    # -- one offer ------------------------------------------------------------------------------

    def _take(self, delivery: Delivery) -> None:
        self._slots.arrive()
        task = asyncio.create_task(self._handle(delivery))
        self._handling.add(task)
        task.add_done_callback(self._handled)

    async def _handle(self, delivery: Delivery) -> None:
        claim = await self._claims.claim(delivery)
        if claim is None:
            self.intake.places_changed()
            return
        attempt = Attempt(claim, self._equipment)
        self._running.add(attempt)
        try:
            await attempt.run()
        finally:
            self._running.discard(attempt)
            self._slots.give_up(claim.place)
            self.intake.places_changed()

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._handling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("offer_handling_failed", exc_info=error)

    async def _hear_cancel(self, message: Msg) -> None:
        """The fast way to hear that a job was called off; the beat is the sure one."""
        try:
            job_id = UUID(message.subject.rpartition(".")[2])
        except ValueError:
            return
        await self._equipment.leases.reconsider(job_id)

    # -- the end --------------------------------------------------------------------------------

    async def _drain(self, taking: asyncio.Task[None]) -> None:
        self.intake.close()
        self._claims.is_closed = True
        self._presence.changed()
        log.info("worker_draining", running=len(self._running))
        await asyncio.gather(taking, return_exceptions=True)
        await self._finish(self._drain_seconds)
        if not self._handling:
            return
        log.info("worker_handing_back", running=len(self._running))
        for attempt in list(self._running):
            attempt.end(Ending.HANDED_BACK)
        await self._finish(HAND_BACK_SECONDS_MAX)

    async def _finish(self, seconds: float) -> None:
        """Wait for what is under way."""
        if self._handling:
            await asyncio.wait(set(self._handling), timeout=seconds)

    async def _tools_offered(self) -> str | None:
        if not self._has_offered:
            raise CheckFailed("tools not offered yet")
        return None
