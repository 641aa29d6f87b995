"""Keeps schedules for those who own them, and for the operators of their tenant.

What a schedule would submit is checked when it is made or changed, as a job is at its submission.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from command_api import idempotency
from command_api.access import origin, require, require_schedule
from command_api.commands import Asked
from command_api.input_files import InputFile
from command_api.keys import KeyRing
from command_api.schedule_commands import (
    ChangeSchedule,
    CreateSchedule,
    FireSchedule,
    SteerSchedule,
)
from command_api.schedule_templates import ScheduleSeals, ScheduleTemplates, invalid_schedule
from events.contracts.sealed_fields import SCHEDULE_NAME_FIELD
from events.contracts.timetable import BadCron, UnknownZone
from events.contracts.values import JobStatus, Origin
from events.domain.errors import NotFound, ScheduleNotFound
from events.domain.schedule import Schedule, ScheduleStatus, Template
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import (
    DECISIONS_MAX,
    Answer,
    Command,
    CommandRepeated,
    Repository,
    StreamConflict,
)
from events.store.scheduled_jobs import ScheduledJobs
from events.store.sealing import Sealer, secrets_id
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.principals import Role

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
        templates: ScheduleTemplates,
        sealer: Sealer,
        clock: Clock,
    ) -> None:
        self._repository = repository
        self._scheduled = scheduled
        self._keys = keys
        self._templates = templates
        self._sealer = sealer
        self._clock = clock

    async def create(self, command: CreateSchedule, blobs: ProvisionalBlobs) -> KeptSchedule:
        """Begin a schedule; raises Forbidden, InvalidSchedule, and what `ToolCheck.check` and
        `InputFiles.find` do.
        """
        require(command.principal, Role.CLIENT)
        files = await self._templates.find(command.principal, command.job)
        schedule_id = uuid7()
        recorded = self._recorded(command, schedule_id, _asked_for(command, files))
        answer = await self._answer(recorded)
        if answer is not None:
            return KeptSchedule(answer.originator_id, ScheduleStatus.ACTIVE, answer.position, True)
        at = origin(command, str(recorded.id if recorded else schedule_id), self._clock)
        seal, key = self._sealer.new_key(schedule_id, at.tenant, at.actor)
        secrets, own_key = self._sealer.new_key(secrets_id(schedule_id), at.tenant, at.actor)
        template = await self._templates.make(
            command.principal, command.job, files, ScheduleSeals(seal, secrets), blobs
        )
        with naming_fields():
            name = seal.seal(SCHEDULE_NAME_FIELD, command.name)
            schedule = Schedule.create(schedule_id, name, command.plan, template, at)
        try:
            with blobs.recording():
                # The second one whether there is a secret or not: a change may bring one.
                saved = await self._repository.save(schedule, command=recorded, keys=(key, own_key))
        except CommandRepeated as repeated:
            answer = _same(repeated.answer, recorded)
            return KeptSchedule(answer.originator_id, ScheduleStatus.ACTIVE, answer.position, True)
        return KeptSchedule(schedule_id, schedule.status, saved.position)

    async def change(self, command: ChangeSchedule, blobs: ProvisionalBlobs) -> KeptSchedule:
        """Give it other terms; raises the same, and ScheduleNotFound."""
        require(command.principal, Role.CLIENT)
        before = await self._load(command, command.schedule_id)
        seal = await self._keys.seal(command.schedule_id)
        if seal is None:
            raise ScheduleNotFound
        secrets = await self._keys.seal(secrets_id(command.schedule_id))
        made = await self._made(command, before, ScheduleSeals(seal, secrets), blobs)
        name = None if command.name is None else seal.seal(SCHEDULE_NAME_FIELD, command.name)
        given = {"cron": command.cron, "zone": command.zone, "missed": command.missed}
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}

        def change(schedule: Schedule, at: Origin) -> None:
            with naming_fields():
                plan = replace(schedule.plan, **changes)
                schedule.change(name or schedule.name, plan, made(schedule.template), at)

        with blobs.recording():
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

    async def _made(
        self,
        command: ChangeSchedule,
        before: Schedule,
        seals: ScheduleSeals,
        blobs: ProvisionalBlobs,
    ) -> Callable[[Template], Template]:
        """What becomes of the template that it has when the change is decided."""
        job, principal = command.job, command.principal
        if job is None:
            return lambda current: current
        job = await self._templates.with_kept_secrets(job, before.template, seals)
        if job.inputs is None:
            kept = before.template.inputs
            anew = await self._templates.change(principal, job, kept, seals)
        else:
            files = await self._templates.find(principal, job)
            anew = await self._templates.make(principal, job, files, seals, blobs)

        def become(current: Template) -> Template:
            # Somebody else may have given it other files or another secret meanwhile.
            if current.secrets != before.template.secrets:
                raise StreamConflict(StreamConflict.__doc__)
            return anew if job.inputs is not None else replace(anew, inputs=current.inputs)

        return become

    async def _load(self, command: Asked, schedule_id: UUID) -> Schedule:
        try:
            schedule = await self._repository.load(Schedule, schedule_id)
        except NotFound:
            raise ScheduleNotFound from None
        require_schedule(command.principal, schedule)
        return schedule

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
        raise invalid_schedule("cron", str(error)) from None
    except UnknownZone as error:
        raise invalid_schedule("time_zone", str(error)) from None


def _asked_for(command: CreateSchedule, files: Sequence[InputFile]) -> list[Any]:
    plan = command.plan
    words = [plan.cron, plan.zone, plan.missed.value]
    digests = [[file.sha256 for file in files]] if files else []
    return [command.name, words, command.job.words(), *digests]


def _same(answer: Answer, recorded: Command | None) -> Answer:
    if recorded is not None:
        idempotency.require_same(answer, recorded)
    return answer
