"""Carries out bulk operations, some jobs at a time, and says how far it has come.

The facts of some jobs and the progress of their operation are one append, all or nothing. So there
is no moment at which a crash leaves a job dealt with and not counted, or counted twice: whoever
leads next goes on after the last recorded job. Between operations nobody waits for long: each run
does a little for every one that is open.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from events.contracts.bulk import BulkAction, BulkStatus
from events.contracts.subjects import cancel_subject
from events.contracts.values import Origin
from events.domain.aggregate import Aggregate
from events.domain.bulk import BulkOperation, Finding, Tally
from events.domain.errors import BulkIsFinal, JobNotUnique, NotFound
from events.domain.job import Job
from events.store.repository import Repository, StreamConflict
from events.store.reservations import regained
from infrastructure.clock import Clock, SystemClock
from infrastructure.ids import uuid7
from infrastructure.periodic import Counts
from processors.bulk.index import BulkIndex, OpenBulk
from processors.dispatcher import Lead
from processors.settings import BulkSettings
from processors.wake import Wake
from processors.work import CheckpointMoved

GROUP_MAX: Final = 100
"""Jobs whose facts go into one append."""
TRIES_MAX: Final = 20
"""How often a single job is tried that changes all the time; then the next run tries again."""
LOOK_SECONDS: Final = 1.0
"""Between two looks at a log that grows all the time, while no operation runs."""
BEHIND_SECONDS: Final = 0.1
"""Until the dispatcher's table may have caught up."""

log = structlog.get_logger(__name__)

Ring = Callable[[str], None]


@dataclass(slots=True)
class _Work:
    """One operation, and how far it has come with and without being recorded."""

    request: OpenBulk
    bulk: BulkOperation
    tally: Tally


class BulkService:
    """See above; a service as `ServiceLoop` runs it."""

    name = "bulk"

    def __init__(
        self,
        lead: Lead,
        index: BulkIndex,
        repository: Repository,
        ring: Ring,
        settings: BulkSettings,
        *,
        wake: asyncio.Event | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`ring` tells workers at once that a job was called off."""
        self._lead = lead
        self._index = index
        self._repository = repository
        self._ring = ring
        self._settings = settings
        self._wake = Wake(wake or asyncio.Event())
        self._clock = clock or SystemClock()
        self._tallies: dict[UUID, Tally] = {}
        self._not_before = 0.0

    async def start(self) -> None:
        """Nothing is opened before the first run."""

    async def run_once(self) -> Counts:
        """Take note of what was requested, and do a little of everything that is open."""
        wait = self._not_before - self._clock.monotonic()
        if wait > 0:
            self._wake.within(wait)
            return Counts()
        self._not_before = self._clock.monotonic() + LOOK_SECONDS
        try:
            return await self._run()
        except BaseException:
            self._tallies.clear()
            self._not_before = 0.0
            raise

    def hear(self) -> None:
        """Something was appended: look as soon as the next look may be."""
        self._wake.within(self._not_before - self._clock.monotonic())

    def hurry(self) -> None:
        """An operation was requested or called off: look at once."""
        self._not_before = 0.0
        self._wake.now()

    async def stop(self) -> None:
        """Let somebody else lead."""
        self._wake.cancel()
        await self._index.close()
        await self._lead.release()

    async def _run(self) -> Counts:
        if not await self._lead.hold():
            self._tallies.clear()
            return Counts()
        try:
            is_whole = await self._index.catch_up()
        except CheckpointMoved:
            # Another one led for a moment; what it has written is as good.
            is_whole = False
        if not is_whole:
            self._not_before = 0.0
            return Counts(more=True, folded=1)
        changed = looked_at = 0
        requests = await self._index.open()
        for request in requests:
            seen, done = await self._advance(request)
            looked_at += seen
            changed += done
        self._tallies = {r.bulk_id: t for r in requests if (t := self._tallies.get(r.bulk_id))}
        if requests:
            self._pace(looked_at, changed)
        return Counts(looked_at=looked_at, changed=changed)

    def _pace(self, looked_at: int, changed: int) -> None:
        """Go on at once after mere looking, and after changes not faster than is allowed."""
        pause = changed / self._settings.bulk_jobs_per_second
        if not looked_at:
            pause = max(pause, BEHIND_SECONDS)
        self._not_before = self._clock.monotonic() + pause
        self._wake.within(pause)

    # -- one operation --------------------------------------------------------------------------

    async def _advance(self, request: OpenBulk) -> tuple[int, int]:
        """Deal with some jobs; how many were looked at, and how many of them changed."""
        try:
            bulk = await self._repository.load(BulkOperation, request.bulk_id)
        except NotFound:
            log.warning("bulk_unknown", bulk_id=str(request.bulk_id))
            return 0, 0
        if bulk.status is not BulkStatus.RUNNING:
            return 0, 0
        tally = self._tallies.setdefault(request.bulk_id, bulk.tally)
        work = _Work(request, bulk, tally)
        job_ids = await self._candidates(work)
        if job_ids is None:
            return 0, 0
        before = tally.changed
        try:
            if job_ids:
                await self._deal_with(work, job_ids)
            else:
                await self._finish(work)
        except (BulkIsFinal, StreamConflict):
            # Called off meanwhile, or too busy a job: look at it anew.
            self._tallies.pop(request.bulk_id, None)
        return len(job_ids), max(0, tally.changed - before)

    async def _candidates(self, work: _Work) -> Sequence[UUID] | None:
        bulk = work.bulk
        find = self._index.unfinished if bulk.action is BulkAction.CANCEL else self._index.dead
        after = work.tally.cursor
        return await find(bulk.tenant, bulk.wanted, work.request.position, after, GROUP_MAX)

    async def _deal_with(self, work: _Work, job_ids: Sequence[UUID]) -> None:
        """All in one append, or where others keep changing these jobs, in ever smaller ones."""
        for _ in range(TRIES_MAX if len(job_ids) == 1 else 2):
            try:
                return await self._deal_with_once(work, job_ids)
            except StreamConflict:
                work.bulk = await self._repository.load(BulkOperation, work.request.bulk_id)
        if len(job_ids) == 1:
            raise StreamConflict(StreamConflict.__doc__)
        half = len(job_ids) // 2
        await self._deal_with(work, job_ids[:half])
        await self._deal_with(work, job_ids[half:])

    async def _deal_with_once(self, work: _Work, job_ids: Sequence[UUID]) -> None:
        bulk = work.bulk
        jobs = await asyncio.gather(*(self._repository.load(Job, job_id) for job_id in job_ids))
        command_id = str(uuid7())
        counts = dict.fromkeys(Finding, 0)
        changed: list[Aggregate] = []
        for job in jobs:
            origin = self._origin(bulk, command_id, job.correlation_id)
            finding, facts_of = await self._found(bulk, job, origin)
            counts[finding] += 1
            changed += facts_of
        matched = counts[Finding.MATCHED]
        done = Tally(
            cursor=job_ids[-1],
            matched=work.tally.matched + matched,
            changed=work.tally.changed + (0 if bulk.dry_run else matched),
            skipped=work.tally.skipped + counts[Finding.SKIPPED],
        )
        if changed:
            # What changes nothing need not be recorded: it is looked at again after a crash.
            bulk.progress(done, self._origin(bulk, command_id, bulk.correlation_id))
            await self._repository.save(*changed, bulk)
        _take_over(work.tally, done)
        if bulk.action is BulkAction.CANCEL:
            for called_off in changed:
                self._ring(cancel_subject(str(called_off.id)))

    async def _found(
        self, bulk: BulkOperation, job: Job, origin: Origin
    ) -> tuple[Finding, Sequence[Aggregate]]:
        """What becomes of a job, and what is to be saved of that."""
        finding = bulk.deal_with(job, origin)
        if not job.pending_events:
            return finding, ()
        if bulk.action is BulkAction.CANCEL:
            return finding, (job,)
        try:
            reservation = await regained(self._repository, job, origin)
        except JobNotUnique:
            # Another job has its key meanwhile; what was decided of this one is dropped.
            return Finding.SKIPPED, ()
        return finding, (job,) if reservation is None else (job, reservation)

    async def _finish(self, work: _Work) -> None:
        bulk = work.bulk
        bulk.finish(work.tally, self._origin(bulk, str(uuid7()), bulk.correlation_id))
        await self._repository.save(bulk)
        log.info(
            "bulk_finished",
            bulk_id=str(bulk.id),
            action=bulk.action.value,
            changed=bulk.changed,
            skipped=bulk.skipped,
        )

    def _origin(self, bulk: BulkOperation, command_id: str, correlation_id: str) -> Origin:
        """Done for whoever asked, because of the operation."""
        return Origin(
            tenant=bulk.tenant,
            actor=bulk.owner,
            command_id=command_id,
            correlation_id=correlation_id,
            causation_id=bulk.cause(),
            at=self._clock.now(),
        )


def _take_over(tally: Tally, done: Tally) -> None:
    """Let a tally that others hold say what another one says."""
    tally.cursor, tally.matched = done.cursor, done.matched
    tally.changed, tally.skipped = done.changed, done.skipped
