"""Runs the projections of a group: takes batches, applies them, and catches up where it must.

One projector leads, the others stand by. Events come from the stream, but the truth is the log:
whatever the stream skips, repeats or reorders is dropped or read from the log, and while the stream
is away the log alone is followed. After any failure everything in memory is forgotten and read
anew, so there is one way to start and no half state. Read models that are not whole are rebuilt.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from events.contracts.envelope import RecordedRow
from events.store.codec import UnknownTopic
from events.store.log import Log
from infrastructure import metrics
from infrastructure.leadership import Leads
from infrastructure.periodic import Counts, Halt
from projectors.announcements import Announcer
from projectors.checkpoints import (
    Damaged,
    MadeByNewerProjections,
    NotTheOwner,
    Standing,
)
from projectors.group import Group
from projectors.intake import Delivery, StreamDisagrees
from projectors.parking import TooManyPoisoned
from projectors.tables import Tables

PAGE_EVENTS_MAX: Final = 2_000
"""Events that one transaction applies when it catches up from the log."""
REBUILD_EVENTS_MIN: Final = 50_000
"""Empty read models that are further behind are rebuilt: faster than catching up."""
CHECK_SECONDS: Final = 15.0
"""How often an idle projector sees whether somebody deleted its tables."""
REBUILDS_IN_A_ROW_MAX: Final = 2
LOOK_SECONDS: Final = 1.0
"""How often the head of the log is asked for while batches keep coming."""

log = structlog.get_logger(__name__)

Rebuild = Callable[[], Awaitable[object]]
"""Makes the read models anew; see `projectors.rebuild`."""


class Delivers(Protocol):
    """Where events come from; see `projectors.intake`."""

    def open(self) -> None:
        """Begin to listen."""

    async def close(self) -> None:
        """Listen no more."""

    def take(self) -> Delivery | None:
        """The batch that waits, if there is one."""


class Runner:
    """The service of one group; see `infrastructure.periodic.Service`."""

    name = "projector"

    def __init__(
        self,
        group: Group,
        tables: Tables,
        event_log: Log,
        intake: Delivers,
        leadership: Leads,
        announcer: Announcer,
        rebuild: Rebuild,
    ) -> None:
        self._group = group
        self._tables = tables
        self._log = event_log
        self._intake = intake
        self._leadership = leadership
        self._announcer = announcer
        self._rebuild = rebuild
        self._standing: Standing | None = None
        self._rebuilding: asyncio.Task[object] | None = None
        self._rebuilds = 0
        self._looked_at = 0.0
        self._checked_at = 0.0

    async def start(self) -> None:
        """Nothing to open: each run makes sure of what it needs."""

    async def run_once(self) -> Counts:
        """Apply one batch, or one page of the log."""
        try:
            return await self._run()
        except (UnknownTopic, TooManyPoisoned, MadeByNewerProjections) as error:
            await self._step_down()
            raise Halt(f"{type(error).__name__}: {error}") from error
        except NotTheOwner:
            log.warning("checkpoint_moved_by_another", group=self._group.name)
            self._forget()
            return Counts(disowned=1)
        except Damaged as damage:
            return await self._mend(damage)
        except BaseException:
            self._forget()
            raise

    async def stop(self) -> None:
        """Let go of everything, so that a standby takes over at once."""
        if self._rebuilding is not None:
            self._rebuilding.cancel()
            await asyncio.gather(self._rebuilding, return_exceptions=True)
        await self._step_down()

    async def _mend(self, damage: Damaged) -> Counts:
        """Begin a rebuild; later runs wait for it. Halts when rebuilding does not help."""
        self._forget()
        if self._rebuilds >= REBUILDS_IN_A_ROW_MAX:
            await self._step_down()
            raise Halt(f"still damaged after a rebuild: {damage}") from damage
        log.error("read_models_damaged", group=self._group.name, damage=str(damage))
        self._rebuilds += 1
        self._rebuilding = asyncio.create_task(_as_task(self._rebuild), name="rebuild")
        return Counts(damaged=1)

    async def _run(self) -> Counts:
        if not await self._leadership.hold():
            self._forget()
            await self._intake.close()
            return Counts()
        if self._rebuilding is not None:
            if not self._rebuilding.done():
                return Counts()
            rebuilding, self._rebuilding = self._rebuilding, None
            rebuilding.result()
        if self._standing is None:
            self._standing = await self._take_over()
        self._intake.open()
        delivery = self._intake.take()
        if delivery is None:
            return await self._follow_log(self._standing)
        return await self._apply_delivery(self._standing, delivery)

    async def _take_over(self) -> Standing:
        """Read where the group stands, and whether that is true; raises Damaged."""
        standing = await self._tables.take_over()
        self._checked_at = time.monotonic()
        if standing.position == 0 and await self._log.head() >= REBUILD_EVENTS_MIN:
            raise Damaged("nothing is projected yet")
        self._rebuilds = 0
        log.info("projection_taken_over", group=self._group.name, position=standing.position)
        return standing

    async def _apply_delivery(self, standing: Standing, delivery: Delivery) -> Counts:
        applied = False
        try:
            rows = self._following(standing, delivery)
            if rows is None:
                counts = await self._follow_log(standing)
            else:
                counts = await self._apply(standing, rows)
            applied = True
        finally:
            delivery.settle(applied=applied)
        return counts

    def _following(self, standing: Standing, delivery: Delivery) -> list[RecordedRow] | None:
        """The rows that come next, or None where only the log can tell."""
        try:
            rows = delivery.rows(standing.position)
        except StreamDisagrees as disagreement:
            log.error("stream_disagrees_with_log", disagreement=str(disagreement))
            return None
        if not rows:
            return None
        if any(row.position != next_ for next_, row in enumerate(rows, standing.position + 1)):
            metrics.PROJECTION_GAPS.labels(self._group.name).inc()
            return None
        return rows

    async def _follow_log(self, standing: Standing) -> Counts:
        """Apply one page of the log; more, if there is a whole page."""
        rows = await self._log.read_after(standing.position, PAGE_EVENTS_MAX)
        if not rows:
            self._announcer.stands(standing.position, standing.position, None)
            await self._check(standing)
            return Counts()
        counts = await self._apply(standing, rows)
        return Counts(applied=counts["applied"], more=len(rows) == PAGE_EVENTS_MAX)

    async def _check(self, standing: Standing) -> None:
        """With nothing else to do, see now and then whether the tables are still whole."""
        now = time.monotonic()
        if now - self._checked_at > CHECK_SECONDS:
            await self._tables.check(standing)
            self._checked_at = now

    async def _apply(self, standing: Standing, rows: Sequence[RecordedRow]) -> Counts:
        began = time.perf_counter()
        applied = await self._tables.apply(standing, rows)
        self._standing = applied.standing
        self._announcer.applied(standing.position, applied, time.perf_counter() - began)
        if began - self._looked_at > LOOK_SECONDS:
            self._looked_at = began
            self._announcer.stands(rows[-1].position, await self._log.head(), rows[-1].recorded_at)
        return Counts(applied=len(rows))

    def _forget(self) -> None:
        """Believe nothing that is in memory any more."""
        self._standing = None
        self._tables.let_go()

    async def _step_down(self) -> None:
        # In this order: nothing is written any more, so another may lead, whatever listens still.
        self._forget()
        await self._leadership.release()
        await self._intake.close()


async def _as_task(rebuild: Rebuild) -> object:
    return await rebuild()
