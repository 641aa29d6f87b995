"""Keeps schedules for those who own them, and for the operators of their tenant.

What a schedule would submit is checked when it is made or changed, as a job is at its submission.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import orjson

from command_api import idempotency
from command_api.access import origin, require, require_schedule
from command_api.commands import Asked
from command_api.errors import InvalidSchedule
from command_api.job_terms import LABELS_FIELD, OPTIONS_FIELD, timeout_within
from command_api.keys import KeyRing
from command_api.options import canonical
from command_api.schedule_commands import (
    ChangeSchedule,
    CreateSchedule,
    FireSchedule,
    JobTemplate,
    SteerSchedule,
)
from command_api.secret_options import parted
from command_api.tool_check import ToolCheck
from events.contracts.timetable import BadCron, UnknownZone
from events.contracts.values import JobStatus, Origin, SealedText
from events.domain.errors import NotFound, ScheduleNotFound
from events.domain.schedule import Plan, Schedule, ScheduleStatus, Template
from events.store.repository import (
    DECISIONS_MAX,
    Answer,
    Command,
    CommandRepeated,
    Repository,
    StreamConflict,
)
from events.store.scheduled_jobs import ScheduledJobs
from events.store.sealing import Seal, Sealer
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.principals import Role

NAME_FIELD: Final = "schedule name"
"""The context under which its name is sealed."""

Act = Callable[[Schedule, Origin], None]


@dataclass(frozen=True, slots=True)
class KeptSchedule:
    """What became of a schedule."""

    schedule_id: UUID
    status: ScheduleStatus
    position: int
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class FiredJob:
    """The job that a schedule submitted because somebody wanted it."""

    job_id: UUID
    status: JobStatus
    position: int
    is_repeat: bool = False


class ManageSchedulesHandler:
    """Handles CreateSchedule, ChangeSchedule, SteerSchedule and FireSchedule."""

    def __init__(
        self,
        repository: Repository,
        scheduled: ScheduledJobs,
        keys: KeyRing,
        tools: ToolCheck,
        sealer: Sealer,
        clock: Clock,
    ) -> None:
        self._repository = repository
        self._scheduled = scheduled
        self._keys = keys
        self._tools = tools
        self._sealer = sealer
        self._clock = clock

    async def create(self, command: CreateSchedule) -> KeptSchedule:
        """Begin a schedule; raises Forbidden, InvalidSchedule, and what `ToolCheck.check` does."""
        require(command.principal, Role.CLIENT)
        schedule_id = uuid7()
        recorded = self._recorded(
            command, schedule_id, [command.name, _words(command.plan), command.job.words()]
        )
        answer = await self._answer(recorded)
        if answer is not None:
            return KeptSchedule(answer.originator_id, ScheduleStatus.ACTIVE, answer.position, True)
        at = origin(command, str(recorded.id if recorded else schedule_id), self._clock)
        seal, key = self._sealer.new_key(schedule_id, at.tenant, at.actor)
        template = await self._template(command.job, seal, at.tenant)
        with naming_fields():
            name = seal.seal(NAME_FIELD, command.name)
            schedule = Schedule.create(schedule_id, name, command.plan, template, at)
        try:
            saved = await self._repository.save(schedule, command=recorded, keys=(key,))
        except CommandRepeated as repeated:
            answer = _same(repeated.answer, recorded)
            return KeptSchedule(answer.originator_id, ScheduleStatus.ACTIVE, answer.position, True)
        return KeptSchedule(schedule_id, schedule.status, saved.position)

    async def change(self, command: ChangeSchedule) -> KeptSchedule:
        """Give it other terms; raises the same, and ScheduleNotFound."""
        require(command.principal, Role.CLIENT)
        before = await self._load(command, command.schedule_id)
        seal = await self._keys.seal(command.schedule_id)
        if seal is None:
            raise ScheduleNotFound
        template = before.template
        if command.job is not None:
            template = await self._template(command.job, seal, before.tenant)
        name = before.name if command.name is None else seal.seal(NAME_FIELD, command.name)
        given = {"cron": command.cron, "zone": command.zone, "missed": command.missed}
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}

        def change(schedule: Schedule, at: Origin) -> None:
            with naming_fields():
                schedule.change(name, replace(schedule.plan, **changes), template, at)

        return await self._change(command, command.schedule_id, change)

    async def pause(self, command: SteerSchedule) -> KeptSchedule:
        """Let it fire no more; raises Forbidden, ScheduleNotFound, ScheduleIsPaused."""
        return await self._change(command, command.schedule_id, Schedule.pause)

    async def resume(self, command: SteerSchedule) -> KeptSchedule:
        """Let it fire again; raises Forbidden, ScheduleNotFound, ScheduleIsActive."""
        return await self._change(command, command.schedule_id, Schedule.resume)

    async def delete(self, command: SteerSchedule) -> KeptSchedule:
        """End it; raises Forbidden, ScheduleNotFound."""
        return await self._change(command, command.schedule_id, Schedule.delete)

    async def fire(self, command: FireSchedule) -> FiredJob:
        """Submit its job now; raises Forbidden, ScheduleNotFound."""
        require(command.principal, Role.CLIENT)
        job_id = uuid7()
        recorded = self._recorded(command, job_id, ["fire", str(command.schedule_id)])
        answer = await self._answer(recorded)
        if answer is not None:
            return FiredJob(answer.originator_id, JobStatus.QUEUED, answer.position, True)
        for _ in range(DECISIONS_MAX):
            schedule = await self._load(command, command.schedule_id)
            at = origin(command, str(recorded.id if recorded else job_id), self._clock)
            try:
                job, saved = await self._scheduled.take_now(schedule, job_id, at, recorded)
            except CommandRepeated as repeated:
                answer = _same(repeated.answer, recorded)
                return FiredJob(answer.originator_id, JobStatus.QUEUED, answer.position, True)
            except StreamConflict:
                continue
            return FiredJob(job.id, job.status, saved.position)
        raise StreamConflict(StreamConflict.__doc__)

    async def _change(self, command: Asked, schedule_id: UUID, act: Act) -> KeptSchedule:
        require(command.principal, Role.CLIENT)

        def decide(schedule: Schedule) -> None:
            require_schedule(command.principal, schedule)
            act(schedule, origin(command, str(uuid7()), self._clock))

        try:
            schedule, saved = await self._repository.change(Schedule, schedule_id, decide)
        except ScheduleNotFound:
            raise
        except NotFound:
            raise ScheduleNotFound from None
        return KeptSchedule(schedule_id, schedule.status, saved.position)

    async def _load(self, command: Asked, schedule_id: UUID) -> Schedule:
        try:
            schedule = await self._repository.load(Schedule, schedule_id)
        except NotFound:
            raise ScheduleNotFound from None
        require_schedule(command.principal, schedule)
        return schedule

    async def _template(self, job: JobTemplate, seal: Seal, tenant: str) -> Template:
        options = canonical(job.options)
        tool = await self._tools.check(job.tool, job.options, ())
        _, secrets = parted(job.options, tool.offer.options_schema)
        if secrets:
            message = "A secret ends with its job; a schedule cannot keep one."
            raise _invalid(f"job.options.{min(secrets)}", message)
        timeout_within(job.timeout_seconds, tool.offer.timeout_seconds)
        labels: SealedText | None = None
        if job.labels:
            labels = seal.seal(LABELS_FIELD, orjson.dumps(job.labels).decode())
        tokens = [self._sealer.label_token(tenant, *label) for label in sorted(job.labels.items())]
        return Template(
            tool=tool.name,
            options=seal.seal(OPTIONS_FIELD, options),
            queue=job.queue,
            priority=job.priority,
            labels=labels,
            label_tokens=tuple(tokens),
            timeout_seconds=job.timeout_seconds,
            queue_seconds_max=job.queue_seconds_max,
        )

    def _recorded(
        self, command: CreateSchedule | FireSchedule, made: UUID, asked_for: Sequence[Any]
    ) -> Command | None:
        if command.idempotency_key is None:
            return None
        principal = command.principal
        digest = idempotency.fingerprint(self._sealer, principal.tenant, asked_for)
        command_id = idempotency.command_id(principal, command.idempotency_key)
        return Command(command_id, principal.tenant, digest, made)

    async def _answer(self, recorded: Command | None) -> Answer | None:
        if recorded is None:
            return None
        answer = await self._repository.answer_to(recorded.id)
        return None if answer is None else _same(answer, recorded)


@contextmanager
def naming_fields() -> Iterator[None]:
    """Let what is wrong with a plan name the field that says it."""
    try:
        yield
    except BadCron as error:
        raise _invalid("cron", str(error)) from None
    except UnknownZone as error:
        raise _invalid("time_zone", str(error)) from None


def _invalid(field: str, message: str) -> InvalidSchedule:
    detail = {"field": field, "message": message, "code": InvalidSchedule.code}
    return InvalidSchedule(errors=[detail])


def _words(plan: Plan) -> list[str]:
    return [plan.cron, plan.zone, plan.missed.value]


def _same(answer: Answer, recorded: Command | None) -> Answer:
    if recorded is not None:
        idempotency.require_same(answer, recorded)
    return answer
