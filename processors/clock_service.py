"""Turns the passing of time into facts: retries that fall due, silent leases, expired files.

One clock is active. Every fact is decided by its aggregate from its own history, so that a row of
work that lags behind the log, or a second clock, changes nothing: what is no longer so is skipped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

import structlog

from events.contracts.values import JobStatus, Origin
from events.domain.aggregate import Aggregate
from events.domain.errors import DomainError
from events.domain.job import Job
from events.domain.schedule import Schedule
from events.domain.upload import Upload
from events.store.repository import Repository, StreamConflict
from events.store.scheduled_jobs import KeyErased, ScheduledJobs, Taken
from infrastructure import metrics
from infrastructure.blobs.base import BlobError, BlobStore, checked_key
from infrastructure.clock import Clock, SystemClock
from infrastructure.ids import uuid7
from infrastructure.periodic import Counts
from processors.dispatcher import Lead
from processors.settings import ClockSettings
from processors.silence import Pulse, SilenceWatch
from processors.sweeps import Found, Sweeps
from processors.wake import Wake

RUNNING_WATCHED_MAX: Final = 20_000
AT_ONCE_MAX: Final = 50
FIRES_AT_ONCE_MAX: Final = 20
"""Of one schedule in one look; silent workers have to be looked for too."""
SOONEST_SECONDS: Final = 0.1
"""Between two looks: what was just appended has to reach the tables first."""
TIDY_SECONDS: Final = 60.0
LEFTOVER_LEASE_AGE: Final = timedelta(minutes=5)

ACTOR: Final = "clock"
REFUSED: Final = "schedule_refused"
"""Said of a schedule whose tool no worker can run."""

A = TypeVar("A", bound=Aggregate)
T = TypeVar("T")

log = structlog.get_logger(__name__)


class ClockService:
    """See above; a service as `ServiceLoop` runs it."""

    name = "clock"

    def __init__(
        self,
        lead: Lead,
        sweeps: Sweeps,
        repository: Repository,
        blobs: BlobStore,
        settings: ClockSettings,
        *,
        schedules: ScheduledJobs,
        wake: asyncio.Event | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`sweeps` is for the clock alone; `wake` is what its loop waits for."""
        self._lead = lead
        self._sweeps = sweeps
        self._repository = repository
        self._blobs = blobs
        self._settings = settings
        self._schedules = schedules
        self._wake = Wake(wake or asyncio.Event())
        self._clock = clock or SystemClock()
        self._watch = SilenceWatch(
            settings.lease_seconds, settings.lease_seconds / 2, settings.worker_reconnect_seconds
        )
        self._leads = False
        self._not_before = 0.0
        self._tidy_at = 0.0
        self._has_heard = False
        # An alert sees an increase only of what was there before.
        metrics.CLOCK_FACTS.labels(REFUSED)

    async def start(self) -> None:
        """Nothing is opened before the first run."""

    async def run_once(self) -> Counts:
        """Look at what has come due, and append what follows from it."""
        wait = self._not_before - self._clock.monotonic()
        if wait > 0:
            self._wake.within(wait)
            return Counts()
        try:
            if not await self._is_leading():
                return Counts()
            return await self._sweep()
        except BaseException:
            # Touch was lost: the workers may have lost it too.
            self._watch.lose_touch()
            self._not_before = 0.0
            raise

    def hear(self) -> None:
        """Something was appended: look as soon as the next look may be, and once more after it."""
        self._has_heard = True
        self._wake.within(self._not_before - self._clock.monotonic())

    async def stop(self) -> None:
        """Let somebody else lead."""
        self._wake.cancel()
        await self._sweeps.close()
        await self._lead.release()

    async def _is_leading(self) -> bool:
        self._not_before = self._clock.monotonic() + self._settings.sweep_seconds
        leads = await self._lead.hold()
        if self._leads and not leads:
            # It went with its connection. If nobody else has taken it, it is ours by the next.
            self._watch.lose_touch()
            leads = await self._lead.hold()
        self._leads = leads
        return leads

    async def _sweep(self) -> Counts:
        most = self._settings.sweep_batch_max
        has_heard, self._has_heard = self._has_heard, False
        asked_at = self._clock.monotonic()
        found = await self._sweeps.look(most, RUNNING_WATCHED_MAX)
        silent = self._watch.look(asked_at, self._clock.monotonic(), found.pulses)
        counts = Counts(
            due=await self._each(self._make_due, found.due),
            expired=await self._each(self._expire, silent),
            results=await self._each(self._expire_result, found.results),
            uploads=await self._each(self._expire_upload, found.uploads),
            waits=await self._each(self._expire_wait, found.waits),
            scheduled=await self._each(self._fire, found.schedules),
        )
        await self._tidy()
        # A full batch that came to nothing is not tried again at once: the tables lag behind.
        self._plan(found, is_cut=not counts.is_idle and found.is_cut(most), has_heard=has_heard)
        return counts

    def _plan(self, found: Found, *, is_cut: bool, has_heard: bool) -> None:
        """See to it that the next look comes in time for what is known to come."""
        now = self._clock.monotonic()
        moments = [now] if is_cut else []
        if found.next_due_seconds is not None:
            moments.append(now + found.next_due_seconds)
        if (silent_at := self._watch.next_at()) is not None:
            moments += [silent_at, now + self._settings.sweep_seconds]
        if has_heard:
            # What was appended reaches the tables a moment after its poke has come.
            moments.append(now + self._settings.sweep_seconds)
        if moments:
            soonest = max(min(moments), now + SOONEST_SECONDS)
            self._not_before = min(self._not_before, soonest)
            self._wake.within(soonest - now)

    # -- facts ----------------------------------------------------------------------------------

    async def _make_due(self, job_id: UUID) -> bool:
        job = await self._change(Job, job_id, lambda job: job.become_due(_origin(job, self._clock)))
        return self._told("due", job)

    async def _expire(self, pulse: Pulse) -> bool:
        job = await self._change(
            Job,
            pulse.job_id,
            lambda job: job.expire_attempt(pulse.lease, _origin(job, self._clock)),
        )
        # Not before: what an outage kept from being ended stays silent.
        self._watch.begin_anew(pulse)
        if job is not None:
            log.warning("lease_expired", job_id=str(job.id), lease=pulse.lease, worker=job.worker)
            tool = metrics.TOOL_LABEL.of(job.tool)
            metrics.LEASES_EXPIRED.inc()
            metrics.ATTEMPTS.labels(tool, "lost").inc()
            if job.status is JobStatus.FAILED:
                metrics.JOBS_FAILED.labels(tool).inc()
        return self._told("lease_expired", job)

    async def _expire_wait(self, job_id: UUID) -> bool:
        job = await self._change(
            Job, job_id, lambda job: job.expire_wait(_origin(job, self._clock))
        )
        if job is not None:
            metrics.JOBS_FAILED.labels(metrics.TOOL_LABEL.of(job.tool)).inc()
        return self._told("wait_expired", job)

    async def _expire_result(self, job_id: UUID) -> bool:
        job = await self._change(
            Job, job_id, lambda job: job.expire_result(_origin(job, self._clock))
        )
        if job is not None:
            await self._delete([file.blob_key for file in job.outputs])
        return self._told("result_expired", job)

    async def _expire_upload(self, upload_id: UUID) -> bool:
        upload = await self._change(
            Upload, upload_id, lambda upload: upload.expire(_origin(upload, self._clock))
        )
        if upload is not None:
            await self._delete([upload.file.blob_key])
        return self._told("upload_expired", upload)

    async def _fire(self, schedule_id: UUID) -> bool:
        """Submit what a schedule owes, each time with its own append."""
        is_done = False
        for _ in range(FIRES_AT_ONCE_MAX):
            try:
                schedule = await self._schedules.load(schedule_id)
                if schedule.next_at is None or schedule.next_at > self._clock.now():
                    self._schedules.keep(schedule)
                    break
                taken = await self._take(schedule)
            except (DomainError, StreamConflict) as error:
                log.debug("fact_skipped", id=str(schedule_id), reason=type(error).__name__)
                break
            self._schedules.keep(schedule)
            is_done = self._told(_became(schedule, taken), schedule)
        return is_done

    async def _take(self, schedule: Schedule) -> Taken:
        try:
            return await self._schedules.take(schedule, _origin(schedule, self._clock))
        except KeyErased:
            # Nobody can read what it would submit; it must not come up again and again.
            log.warning("schedule_erased", id=str(schedule.id))
            await self._change(
                Schedule, schedule.id, lambda gone: gone.delete(_origin(gone, self._clock))
            )
            raise

    async def _change(
        self, kind: type[A], aggregate_id: UUID, decide: Callable[[A], object]
    ) -> A | None:
        """Decide on an aggregate; None if there is nothing to decide any more."""
        try:
            aggregate, _ = await self._repository.change(kind, aggregate_id, decide)
        except (DomainError, StreamConflict) as error:
            log.debug("fact_skipped", id=str(aggregate_id), reason=type(error).__name__)
            return None
        return aggregate

    async def _delete(self, blob_keys: Sequence[str]) -> None:
        """Delete what was given up; what fails is left to the sweeper."""
        for blob_key in blob_keys:
            try:
                await self._blobs.delete(checked_key(blob_key))
                metrics.BLOBS_DELETED.labels("expired").inc()
            except (BlobError, OSError):
                log.warning("blob_not_deleted", blob_key=blob_key, exc_info=True)

    def _told(self, kind: str, aggregate: object | None) -> bool:
        if aggregate is not None:
            metrics.CLOCK_FACTS.labels(kind).inc()
        return aggregate is not None

    async def _each(self, act: Callable[[T], Awaitable[bool]], subjects: Sequence[T]) -> int:
        """Act on all, some at a time, so that they share loads and commits."""
        done = 0
        for first in range(0, len(subjects), AT_ONCE_MAX):
            some = subjects[first : first + AT_ONCE_MAX]
            done += sum(await asyncio.gather(*(act(subject) for subject in some)))
        return done

    async def _tidy(self) -> None:
        now = self._clock.monotonic()
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_SECONDS
            await self._sweeps.tidy(LEFTOVER_LEASE_AGE)


def _became(schedule: Schedule, taken: Taken) -> str:
    """The kind of fact that it made; an operator reads of a schedule that cannot fire."""
    if taken.job is not None:
        return "schedule_fired"
    if taken.refusal is None:
        return "schedule_skipped"
    log.warning(
        REFUSED,
        schedule_id=str(schedule.id),
        tenant=schedule.tenant,
        tool_id=schedule.template.tool,
        reason=taken.refusal.code,
        next_at=schedule.next_at,
    )
    return REFUSED


def _origin(aggregate: Job | Schedule | Upload, clock: Clock) -> Origin:
    """What every event of the clock says of itself."""
    # Each job of a schedule walks on its own; so it is told apart by what it comes from.
    request = aggregate.correlation_id if isinstance(aggregate, Job) else str(aggregate.id)
    return Origin(
        tenant=aggregate.tenant,
        actor=ACTOR,
        command_id=str(uuid7()),
        correlation_id=request,
        causation_id=aggregate.cause(),
        at=clock.now(),
    )
