"""Submits the jobs of schedules: for the clock when a time has come, and for whoever wants one now.

The schedule's fact and the job's first one are one append. Two who fire at once decide on the same
version of the schedule, so one of them finds that it was done. So does who fires while the schedule
is deleted or gets other files: a job never names a blob that the schedule had let go before.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from events.contracts.sealed_fields import LABELS_FIELD, NAME_FIELD, OPTIONS_FIELD, SECRETS_FIELD
from events.contracts.tool import tool_id
from events.contracts.values import FileRef, Origin, SealedText
from events.domain.errors import (
    DomainError,
    NotFound,
    ScheduleNotFound,
    ToolNotFound,
    ToolUnavailable,
)
from events.domain.job import Job, JobRequest
from events.domain.schedule import Schedule
from events.domain.tool import Offer, Tool
from events.store.log import Log
from events.store.repository import Command, LogUnavailable, Repository, Saved
from events.store.sealing import Seal, SealBroken, Sealer, WrappedKey, secrets_id
from infrastructure.ids import uuid7
from infrastructure.postgres import UNAVAILABLE

SCHEDULES_KEPT_MAX: Final = 10_000


class KeyErased(ScheduleNotFound):
    """What the schedule would submit cannot be read any more."""

    code = "SCHEDULE_ERASED"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a time that was due."""

    job: Job | None
    """None: it gets none."""
    refusal: DomainError | None = None
    """What kept its job from being made, if it is not that the plan wants none."""


class ScheduledJobs:
    """Makes jobs from schedules."""

    def __init__(self, repository: Repository, log: Log, sealer: Sealer) -> None:
        self._repository = repository
        self._log = log
        self._sealer = sealer
        self._known: OrderedDict[UUID, Schedule] = OrderedDict()

    async def load(self, schedule_id: UUID) -> Schedule:
        """The schedule as it is now; of one that was kept, only what is new is read.

        A schedule of every minute has half a million facts after a year, and is loaded as often.
        Raises NotFound, LogUnavailable.
        """
        known = self._known.pop(schedule_id, None)
        after = 0 if known is None else known.version
        try:
            rows = await self._log.read_stream(schedule_id, after_version=after)
        except UNAVAILABLE as error:
            raise LogUnavailable(LogUnavailable.__doc__) from error
        return self._repository.fold(Schedule, rows, onto=known)

    def keep(self, schedule: Schedule) -> None:
        """Remember a schedule that says nothing else than the log, for the next `load`."""
        self._known[schedule.id] = schedule
        if len(self._known) > SCHEDULES_KEPT_MAX:
            self._known.popitem(last=False)

    async def take(self, schedule: Schedule, origin: Origin) -> Taken:
        """Submit the job of the time that is due, or record why that time gets none.

        Raises ScheduleNotDue, KeyErased, StreamConflict, LogUnavailable.
        """
        try:
            offer = await self._offer(schedule.template.tool)
        except (ToolNotFound, ToolUnavailable) as refusal:
            schedule.forgo(refusal.code, origin)
            await self._repository.save(schedule)
            return Taken(None, refusal)
        job_id = uuid7()
        tick = schedule.fire(job_id, origin)
        if tick is None:
            await self._repository.save(schedule)
            return Taken(None)
        job, keys = await self._job(schedule, job_id, tick, offer, origin)
        await self._repository.save(schedule, job, keys=keys)
        return Taken(job)

    async def take_now(
        self, schedule: Schedule, job_id: UUID, origin: Origin, command: Command | None = None
    ) -> tuple[Job, Saved]:
        """Submit a job whatever the plan says.

        Raises KeyErased, ToolNotFound, ToolUnavailable, StreamConflict, LogUnavailable,
        CommandRepeated.
        """
        schedule.fire_now(job_id, origin)
        offer = await self._offer(schedule.template.tool)
        job, keys = await self._job(schedule, job_id, None, offer, origin)
        saved = await self._repository.save(schedule, job, command=command, keys=keys)
        return job, saved

    async def _job(
        self,
        schedule: Schedule,
        job_id: UUID,
        tick: datetime | None,
        offer: Offer,
        origin: Origin,
    ) -> tuple[Job, list[WrappedKey]]:
        theirs = await self._seal(schedule.id)
        seal, key = self._sealer.new_key(job_id, schedule.tenant, schedule.owner)
        request = _request(schedule, offer, tick, lambda *text: _again(theirs, seal, *text))
        keys = [key]
        if schedule.template.secrets is not None:
            theirs = await self._seal(secrets_id(schedule.id))
            seal, key = self._sealer.new_key(secrets_id(job_id), schedule.tenant, schedule.owner)
            secrets = _again(theirs, seal, SECRETS_FIELD, schedule.template.secrets)
            request, keys = replace(request, secrets=secrets), [*keys, key]
        return Job.submit(job_id, request, origin), keys

    async def _seal(self, subject_id: UUID) -> Seal:
        try:
            wrapped = (await self._log.keys([subject_id])).get(subject_id)
        except UNAVAILABLE as error:
            raise LogUnavailable(LogUnavailable.__doc__) from error
        if wrapped is None:
            raise KeyErased
        try:
            return self._sealer.open_key(subject_id, wrapped)
        except SealBroken:
            raise KeyErased from None

    async def _offer(self, name: str) -> Offer:
        try:
            offer = (await self._repository.load(Tool, tool_id(name))).offered
        except NotFound:
            offer = None
        if offer is None:
            raise ToolNotFound
        if not offer.available:
            raise ToolUnavailable(offer.unavailable_reason, tool=name)
        return offer


def _request(
    schedule: Schedule,
    offer: Offer,
    tick: datetime | None,
    resealed: Callable[[str, SealedText], SealedText],
) -> JobRequest:
    template = schedule.template
    wanted = template.timeout_seconds or offer.timeout_seconds
    labels: SealedText | None = None
    if template.labels is not None:
        labels = resealed(LABELS_FIELD, template.labels)
    tokens: Sequence[str] = template.label_tokens

    def its_own(file: FileRef) -> FileRef:
        """By the schedule's blob: a copy would cost the clock the time to look for silence."""
        return replace(file, name=resealed(NAME_FIELD, file.name))

    return JobRequest(
        owner=schedule.owner,
        tool=template.tool,
        tool_version=offer.version,
        options=resealed(OPTIONS_FIELD, template.options),
        inputs=[its_own(file) for file in template.inputs],
        queue=template.queue,
        priority=template.priority,
        labels=labels,
        label_tokens=tokens,
        attempts_max=offer.attempts_max,
        timeout_seconds=min(wanted, offer.timeout_seconds),
        queue_seconds_max=template.queue_seconds_max,
        retry=offer.retry,
        schedule=schedule.id,
        tick=tick,
    )


def _again(theirs: Seal, ours: Seal, field: str, text: SealedText) -> SealedText:
    """The same text under the job's own key."""
    try:
        return ours.seal(field, theirs.open(field, text))
    except SealBroken:
        raise KeyErased from None
