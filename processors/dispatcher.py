"""Folds the log into work and offers runnable jobs to workers; one dispatcher leads.

It offers first and writes after: a job reaches a worker before its row is written, and one that
ends soon enough is never written at all. Nothing depends on the order, because a lost offer is made
again, a double one loses the claim, and a successor folds on from the checkpoint. Postgres holds
the long queue, READY a short one, so that a cancelled job is not started.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from events.contracts.envelope import RecordedRow
from events.store.codec import Codec
from infrastructure import metrics
from infrastructure.broker import UNAVAILABLE as NATS_UNAVAILABLE
from infrastructure.clock import Clock, SystemClock
from infrastructure.periodic import Counts
from processors.folding import Folding
from processors.look_up import known_jobs
from processors.queues import LANES_MAX, Queue, Queues, Rules
from processors.ready import Ready
from processors.settings import DispatcherSettings
from processors.tail import Tail
from processors.wake import Wake
from processors.work import WorkStore

CHANGES_TO_WRITE: Final = 2_000
"""So many are written without waiting for the time."""
CHANGES_WAITING_MAX: Final = 20_000
OFFERS_MAX: Final = 10_000
"""On offer at one time, of all queues together."""
READ_BYTES_TARGET: Final = 8 * 1024**2
STANDBY_SECONDS: Final = 1.0
MEASURE_SECONDS: Final = 1.0
WITHDRAW_SECONDS: Final = 0.05
"""Between two tries to take back an offer that JetStream has not acknowledged yet."""

log = structlog.get_logger(__name__)


class Lead(Protocol):
    """The right to be the one; see `infrastructure.leadership`."""

    async def hold(self) -> bool:
        """Take it if it is free, keep it if it is ours."""
        ...

    async def release(self) -> None:
        """Give it up."""
        ...


@dataclass(slots=True)
class _State:
    """What the leading dispatcher believes; thrown away whenever it might be wrong."""

    queues: Queues
    folding: Folding
    folded: int
    written: int
    changed_at: float | None = None
    """When the oldest change came that is not being written."""
    writing: asyncio.Task[None] | None = field(default=None)


class Dispatcher:
    """See above; a service as `ServiceLoop` runs it."""

    name = "dispatcher"

    def __init__(
        self,
        lead: Lead,
        log: Tail,
        work: WorkStore,
        ready: Ready,
        settings: DispatcherSettings,
        *,
        wake: asyncio.Event | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`wake` is set when a run is wanted before the loop's own interval is over."""
        self._lead = lead
        self._log = log
        self._work = work
        self._ready = ready
        self._settings = settings
        self._wake = Wake(wake or asyncio.Event())
        self._clock = clock or SystemClock()
        self._codec = Codec()
        self._state: _State | None = None
        self._read_max = settings.fold_events_max
        self._turn = 0
        self._has_led = False
        self._try_at = 0.0
        self._look_at = 0.0
        self._measure_at = 0.0

    async def start(self) -> None:
        """Nothing is opened before the first run."""

    async def run_once(self) -> Counts:
        """Fold what is new, offer what may run, write what has waited long enough."""
        if not await self._leads():
            return Counts()
        try:
            state = self._state or await self._take_up()
            return await self._run(state)
        except BaseException:
            await self._put_down()
            raise

    async def stop(self) -> None:
        """Write what was folded and let somebody else lead."""
        try:
            if self._state is not None:
                await self._write_all(self._state)
        finally:
            self._wake.cancel()
            await self._put_down()
            await self._lead.release()

    async def _leads(self) -> bool:
        """Whether we lead; a standby asks only now and then, however often it is woken."""
        if self._clock.monotonic() < self._try_at:
            return False
        leads = await self._lead.hold()
        if self._has_led and not leads:
            # It went with its connection. If nobody else has taken it, it is ours by the next.
            await self._put_down()
            leads = await self._lead.hold()
        self._has_led = leads
        if not leads:
            self._try_at = self._clock.monotonic() + STANDBY_SECONDS
            await self._put_down()
        return leads

    async def _take_up(self) -> _State:
        """Begin where the tables stand: whatever waits there may have to be offered."""
        rules = _rules(self._settings)
        standing = await self._work.standing(rules.front_max, LANES_MAX)
        await self._clear_offers()
        # A worker may have in its hands what a predecessor offered.
        queues = Queues(rules, sure_at=self._clock.monotonic() + rules.claim_seconds)
        for limit in standing.limits:
            queues.set_limit(limit.scope, limit.bound, is_new=False)
        for paused in standing.paused:
            queues.set_paused(paused.tenant, paused.queue, True)
        for front in standing.fronts:
            queues.stand(front.lane, front.depth, front.jobs)
        for job_id, lane in standing.running.items():
            queues.run(job_id, lane)
        queues.has_overflown = len(standing.fronts) >= LANES_MAX
        state = _State(
            queues,
            Folding(queues, self._codec),
            folded=standing.position,
            written=standing.position,
        )
        self._state = state
        log.info("dispatcher_took_up", position=standing.position, lanes=len(standing.fronts))
        return state

    async def _put_down(self) -> None:
        state, self._state = self._state, None
        if state is not None and state.writing is not None:
            state.writing.cancel()
            await asyncio.gather(state.writing, return_exceptions=True)

    async def _clear_offers(self) -> None:
        """What a predecessor offered would be offered twice; that is harmless, but no use."""
        if self._ready.is_reachable:
            try:
                await self._ready.clear()
            except NATS_UNAVAILABLE as error:
                log.debug("offers_not_cleared", error=repr(error))

    async def _run(self, state: _State) -> Counts:
        if state.writing is not None and state.writing.done():
            await self._written(state)
        asked = self._read_max
        folded = await self._fold(state)
        has_backlog = folded >= asked
        metrics.DISPATCHER_POSITION.set(state.folded)
        metrics.DISPATCHER_LAG_EVENTS.set(folded if has_backlog else 0)
        offered = reoffered = 0
        if self._ready.is_reachable and not has_backlog:
            reoffered = await self._take_back_lost(state)
            await self._withdraw(state)
            offered = await self._offer(state)
            await self._refill(state)
        await self._write_if_due(state)
        self._measure(state)
        return Counts(more=has_backlog, folded=folded, offered=offered, reoffered=reoffered)

    # -- folding --------------------------------------------------------------------------------

    async def _fold(self, state: _State) -> int:
        rows = await self._log.read_after(state.folded, self._read_max)
        if not rows:
            return 0
        self._fit(rows)
        wanted = state.folding.to_look_up(rows)
        if wanted:
            # Their rows have to be there.
            await self._written(state)
        known = await known_jobs(self._log, self._work, wanted)
        state.folding.fold(rows, known)
        state.folded = rows[-1].position
        if state.changed_at is None:
            state.changed_at = self._clock.monotonic()
        return len(rows)

    def _fit(self, rows: Sequence[RecordedRow]) -> None:
        """Keep the next batch to a few megabytes, also when events are large."""
        mean = sum(len(row.state) for row in rows) // len(rows) + 1
        self._read_max = max(1, min(self._settings.fold_events_max, READ_BYTES_TARGET // mean))

    # -- offering -------------------------------------------------------------------------------

    async def _offer(self, state: _State) -> int:
        offered = 0
        now, moment = self._clock.monotonic(), self._clock.now()
        state.queues.release_doubtful(now)
        state.queues.has_passed_on = False
        queues = list(state.queues)
        room = OFFERS_MAX - state.queues.offers
        # Another queue is first each time, so that none goes without when there is no room for all.
        self._turn = (self._turn + 1) % max(len(queues), 1)
        for queue in queues[self._turn :] + queues[: self._turn]:
            jobs = state.queues.offer(queue, min(queue.room(now), room - offered), now, moment)
            if not jobs:
                continue
            try:
                await self._ready.offer(jobs)
            except NATS_UNAVAILABLE as error:
                # They count as offered, and as lost a moment later.
                log.debug("offers_not_made", error=repr(error))
                break
            offered += len(jobs)
            metrics.DISPATCHER_OFFERS.labels(metrics.QUEUE_LABEL.of(queue.name)).inc(len(jobs))
        self._come_back(state, now)
        return offered

    def _come_back(self, state: _State, now: float) -> None:
        """Look again when a gate opens by itself, or for a lane that another queue let go."""
        if state.queues.has_passed_on:
            self._wake.now()
        seconds = state.queues.next_in(now)
        if seconds is not None:
            self._wake.within(seconds)

    async def _withdraw(self, state: _State) -> None:
        """Take back what is on offer and has to wait, because of a pause or another priority."""
        for queue in state.queues:
            jobs = state.queues.to_withdraw(queue)
            if not jobs:
                continue
            gone = await self._ready.withdraw(jobs)
            for job in gone:
                state.queues.withdraw(queue, job, self._clock.monotonic())
            log.info("offers_withdrawn", queue=queue.name, jobs=len(gone))
            if len(gone) < len(jobs):
                self._wake.within(WITHDRAW_SECONDS)

    async def _take_back_lost(self, state: _State) -> int:
        now = self._clock.monotonic()
        if now < self._look_at:
            return 0
        self._look_at = now + self._settings.offer_seconds
        return sum([await self._take_back(state, queue, now) for queue in state.queues])

    async def _take_back(self, state: _State, queue: Queue, now: float) -> int:
        unclaimed = queue.offered_before(now - self._settings.offer_seconds)
        if not unclaimed:
            return 0
        lost = await self._ready.lost(unclaimed)
        for job in lost:
            state.queues.take_back(queue, job)
        if lost:
            log.info("offers_lost", queue=queue.name, jobs=len(lost))
            metrics.DISPATCHER_REOFFERS.labels(metrics.QUEUE_LABEL.of(queue.name)).inc(len(lost))
        return len(lost)

    async def _refill(self, state: _State) -> None:
        """Fetch more of long lanes before their fronts are used up."""
        low = state.queues.low()
        if low:
            # Postgres has to hold all that was folded, or the fronts would have holes.
            await self._write_all(state)
            limit = max(state.queues.front_max - max(lane.in_memory for lane in low), 1)
            found = await self._work.beyond([(lane.key, lane.reach) for lane in low], limit)
            for lane, jobs in zip(low, found, strict=True):
                state.queues.fill(lane, jobs, limit)
            self._wake.now()
        if state.queues.has_overflown and len(state.queues) < LANES_MAX // 2:
            # There is room for lanes that are in Postgres only: take everything up anew.
            await self._write_all(state)
            await self._put_down()
            self._wake.now()

    # -- writing --------------------------------------------------------------------------------

    async def _write_if_due(self, state: _State) -> None:
        if state.changed_at is None:
            return
        changes = len(state.folding.changes)
        if state.writing is not None and not state.writing.done():
            if changes > CHANGES_WAITING_MAX:
                await self._write_all(state)
            return
        waited = self._clock.monotonic() - state.changed_at
        if waited >= self._settings.persist_seconds or changes >= CHANGES_TO_WRITE:
            await self._written(state)
            self._begin_to_write(state)
        else:
            self._wake.within(self._settings.persist_seconds - waited)

    async def _write_all(self, state: _State) -> None:
        await self._written(state)
        if state.changed_at is not None:
            self._begin_to_write(state)
            await self._written(state)

    def _begin_to_write(self, state: _State) -> None:
        changes, after, position = state.folding.take_changes(), state.written, state.folded
        state.changed_at = None
        state.written = position
        state.writing = asyncio.create_task(
            self._work.persist(changes, after, position), name="work_written"
        )
        state.writing.add_done_callback(lambda _: self._wake.now())

    async def _written(self, state: _State) -> None:
        """Wait for a write under way; raises what it raised."""
        if state.writing is not None:
            writing, state.writing = state.writing, None
            await writing

    # -- measuring ------------------------------------------------------------------------------

    def _measure(self, state: _State) -> None:
        now = self._clock.monotonic()
        if now < self._measure_at:
            return
        self._measure_at = now + MEASURE_SECONDS
        moment = self._clock.now()
        for name in state.queues.forget_empty(now):
            _show(name, 0, 0.0)
        for name, load in state.queues.loads().items():
            age = 0.0 if load.oldest is None else (moment - load.oldest).total_seconds()
            _show(name, load.depth, max(age, 0.0))


def _show(queue: str, depth: int, age_seconds: float) -> None:
    label = metrics.QUEUE_LABEL.of(queue)
    metrics.QUEUE_DEPTH.labels(label).set(depth)
    metrics.QUEUE_OLDEST_SECONDS.labels(label).set(age_seconds)


def _rules(settings: DispatcherSettings) -> Rules:
    return Rules(
        front_max=settings.queue_front_max,
        ready_floor=settings.ready_floor,
        ready_depth=settings.ready_depth,
        ready_seconds=settings.ready_seconds,
        aging_seconds=settings.aging_seconds,
        claim_seconds=settings.claim_seconds,
    )
