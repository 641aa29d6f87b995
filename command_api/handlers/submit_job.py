"""Accepts a job: everything a client can learn at once is decided here, the rest by the tool.

Whatever is refused leaves nothing behind; whatever is accepted is in the log, its files durable,
before the answer goes out. A request repeated under its key gets the first answer, whatever has
changed since.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from command_api import idempotency
from command_api.access import origin, owner_id, require
from command_api.commands import SubmitJob
from command_api.input_files import InputFile, InputFiles, owned
from command_api.job_terms import idempotent_terms, job_request
from command_api.options import canonical
from command_api.result_cache import Request, ResultCache, Reuse
from command_api.secret_options import parted
from command_api.tool_check import ToolCheck
from command_api.uniqueness import Uniqueness
from events.contracts.sealed_fields import SECRETS_FIELD
from events.contracts.values import FileRef, JobStatus, Origin
from events.domain.aggregate import Aggregate
from events.domain.job import Job, JobRequest
from events.domain.reservation import Reservation
from events.store.log import Log
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import (
    Answer,
    Command,
    CommandRepeated,
    LogUnavailable,
    Repository,
    StreamConflict,
)
from events.store.sealing import Seal, Sealer, WrappedKey, secrets_id
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.postgres import UNAVAILABLE
from infrastructure.principals import Role

DECISIONS_MAX: Final = 20
"""How often it is decided anew because another request with the same key was faster."""


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """What became of a request."""

    job_id: UUID
    position: int
    status: JobStatus
    is_repeat: bool = False
    is_duplicate: bool = False
    """Nothing was recorded: another job holds the unique key, and this is it."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A job that may be recorded."""

    job_id: UUID
    request: JobRequest
    keys: tuple[WrappedKey, ...]
    recorded: Command | None
    at: Origin
    wanted: Request | None = None
    """What an earlier result may be found by."""


class SubmitJobHandler:
    """Handles SubmitJob."""

    def __init__(
        self,
        repository: Repository,
        log: Log,
        tools: ToolCheck,
        files: InputFiles,
        unique: Uniqueness,
        cache: ResultCache,
        sealer: Sealer,
        clock: Clock,
    ) -> None:
        self._repository = repository
        self._log = log
        self._tools = tools
        self._files = files
        self._unique = unique
        self._cache = cache
        self._sealer = sealer
        self._clock = clock

    async def __call__(self, command: SubmitJob, blobs: ProvisionalBlobs) -> SubmittedJob:
        """Record the job, or find that it was recorded before.

        Raises DomainError for what is refused, LogUnavailable, OutcomeUnknown.
        """
        require(command.principal, Role.CLIENT)
        options = canonical(command.options)
        files = await self._files.find(command.principal, command.inputs) if command.inputs else ()
        job_id = uuid7()
        recorded = self._recorded(command, options, files, job_id)
        if recorded is not None:
            answer = await self._repository.answer_to(recorded.id)
            if answer is not None:
                return await self._first_answer(answer, recorded)
        tool = await self._tools.check(command.tool, command.options, files)
        at = origin(command, str(recorded.id if recorded is not None else job_id), self._clock)
        seal, key = self._sealer.new_key(job_id, at.tenant, owner_id(command.principal))
        open_ones, secrets = parted(command.options, tool.offer.options_schema)
        reservation = self._unique.reservation_id(command)
        request = job_request(
            command, canonical(open_ones), tool, seal, self._sealer, at, reservation
        )
        # What was made with a secret is made again: nobody should get it without.
        wanted = None if secrets else self._cache.request(command, options, tool, files)
        draft = _Draft(job_id, request, (key,), recorded, at, wanted)
        if secrets:
            draft = self._with_secrets(draft, canonical(secrets))
        try:
            return await self._record(draft, command, files, seal, blobs)
        except CommandRepeated as repeated:
            # It came in at the same moment as this one.
            assert recorded is not None  # noqa: S101
            return await self._first_answer(repeated.answer, recorded)

    async def _record(
        self,
        draft: _Draft,
        command: SubmitJob,
        files: Sequence[InputFile],
        seal: Seal,
        blobs: ProvisionalBlobs,
    ) -> SubmittedJob:
        inputs: Sequence[FileRef] | None = None
        for _ in range(DECISIONS_MAX):
            reservation = await self._reserve(draft, command)
            if isinstance(reservation, Job):
                return await self._existing(reservation.id)
            if inputs is None:
                tenant = command.principal.tenant
                inputs = [await owned(file, tenant, seal, blobs) for file in files]
            request = replace(draft.request, inputs=inputs) if inputs else draft.request
            job = Job.submit(draft.job_id, request, draft.at)
            also: list[Aggregate] = [] if reservation is None else [reservation]
            if draft.wanted is not None:
                also += await self._reuse(job, draft.wanted, seal, blobs, draft.at)
            try:
                with blobs.recording():
                    saved = await self._repository.save(
                        job, *also, command=draft.recorded, keys=draft.keys
                    )
            except StreamConflict:
                continue
            return SubmittedJob(draft.job_id, saved.position, job.status)
        raise StreamConflict(StreamConflict.__doc__)

    def _with_secrets(self, draft: _Draft, secrets: str) -> _Draft:
        (key,) = draft.keys
        seal, own_key = self._sealer.new_key(secrets_id(draft.job_id), key.tenant, key.owner)
        request = replace(draft.request, secrets=seal.seal(SECRETS_FIELD, secrets))
        return replace(draft, request=request, keys=(key, own_key))

    async def _reserve(self, draft: _Draft, command: SubmitJob) -> Reservation | Job | None:
        key = draft.request.reservation
        if key is None or command.unique is None:
            return None
        return await self._unique.reserve(key, command.unique, draft.job_id, draft.at)

    async def _reuse(
        self, job: Job, wanted: Request, seal: Seal, blobs: ProvisionalBlobs, at: Origin
    ) -> list[Aggregate]:
        """Let the job succeed by a result that is there; else, what to save with it."""
        found = await self._cache.look_up(wanted, job.id, seal, blobs, at)
        if isinstance(found, Reuse):
            job.reuse(found.source, found.outputs, at, found.notes)
            return []
        return [] if found is None else [found]

    async def _existing(self, job_id: UUID) -> SubmittedJob:
        try:
            rows = await self._log.read_stream(job_id)
        except UNAVAILABLE as error:
            raise LogUnavailable(LogUnavailable.__doc__) from error
        job = self._repository.fold(Job, rows)
        return SubmittedJob(job_id, rows[-1].position, job.status, is_duplicate=True)

    def _recorded(
        self, command: SubmitJob, options: str, files: Sequence[InputFile], job_id: UUID
    ) -> Command | None:
        if command.idempotency_key is None:
            return None
        principal = command.principal
        asked_for = idempotency.asked_for(
            command.tool,
            options,
            [file.sha256 for file in files],
            command.queue,
            command.priority,
            command.run_at,
            command.labels,
            idempotent_terms(command),
        )
        return Command(
            idempotency.command_id(principal, command.idempotency_key),
            principal.tenant,
            idempotency.fingerprint(self._sealer, principal.tenant, asked_for),
            job_id,
        )

    async def _first_answer(self, answer: Answer, recorded: Command) -> SubmittedJob:
        idempotency.require_same(answer, recorded)
        try:
            rows = await self._log.read_stream(answer.originator_id, up_to=1)
        except UNAVAILABLE as error:
            raise LogUnavailable(LogUnavailable.__doc__) from error
        job = self._repository.fold(Job, rows)
        return SubmittedJob(answer.originator_id, answer.position, job.status, is_repeat=True)
