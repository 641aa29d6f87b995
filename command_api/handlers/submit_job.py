"""Accepts a job: everything a client can learn at once is decided here, the rest by the tool.

Whatever is refused leaves nothing behind; whatever is accepted is in the log, its files durable,
before the answer goes out. A request repeated under its key gets the first answer, whatever has
changed since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import orjson

from command_api import idempotency
from command_api.access import origin, owner_id, require
from command_api.commands import RUN_AT_DAYS_MAX, SubmitJob
from command_api.errors import RunAtTooFar
from command_api.input_files import NAME_FIELD, InputFile, InputFiles
from command_api.options import canonical
from command_api.tool_cache import CachedOffer
from command_api.tool_check import ToolCheck
from events.contracts.values import FileRef, JobStatus
from events.domain.job import Job, JobRequest
from events.store.log import Log
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import (
    Answer,
    Command,
    CommandRepeated,
    LogUnavailable,
    Repository,
)
from events.store.sealing import Seal, Sealer
from infrastructure.blobs.base import BlobKey, BlobNotFound
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.postgres import UNAVAILABLE
from infrastructure.principals import Role

OPTIONS_FIELD: Final = "options"
LABELS_FIELD: Final = "labels"


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """What became of a request."""

    job_id: UUID
    position: int
    status: JobStatus
    is_repeat: bool = False


class SubmitJobHandler:
    """Handles SubmitJob."""

    def __init__(
        self,
        repository: Repository,
        log: Log,
        tools: ToolCheck,
        files: InputFiles,
        sealer: Sealer,
        clock: Clock,
    ) -> None:
        self._repository = repository
        self._log = log
        self._tools = tools
        self._files = files
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
        seal, key = self._sealer.new_key(
            job_id, command.principal.tenant, owner_id(command.principal)
        )
        inputs = await self._inputs(command, files, seal, blobs) if files else ()
        job = self._job(job_id, command, options, tool, inputs, seal, recorded)
        try:
            with blobs.recording():
                saved = await self._repository.save(job, command=recorded, keys=(key,))
        except CommandRepeated as repeated:
            # It came in at the same moment as this one.
            assert recorded is not None  # noqa: S101
            return await self._first_answer(repeated.answer, recorded)
        return SubmittedJob(job_id, saved.position, job.status)

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

    async def _inputs(
        self,
        command: SubmitJob,
        files: Sequence[InputFile],
        seal: Seal,
        blobs: ProvisionalBlobs,
    ) -> Sequence[FileRef]:
        """Each job has blobs of its own, so that what it was made from may expire or be erased."""
        refs = []
        for file in files:
            key = await self._own_blob(command, file, blobs)
            name = seal.seal(NAME_FIELD, file.name)
            refs.append(FileRef(name, file.media_type, file.size_bytes, file.sha256, key))
        return refs

    async def _own_blob(
        self, command: SubmitJob, file: InputFile, blobs: ProvisionalBlobs
    ) -> BlobKey:
        if file.gone is None:
            return file.blob_key
        if not file.is_usable:
            raise file.gone
        try:
            return await blobs.copy(file.blob_key, command.principal.tenant)
        except BlobNotFound:
            raise file.gone from None

    def _job(
        self,
        job_id: UUID,
        command: SubmitJob,
        options: str,
        tool: CachedOffer,
        inputs: Sequence[FileRef],
        seal: Seal,
        recorded: Command | None,
    ) -> Job:
        command_id = str(recorded.id if recorded is not None else job_id)
        at = origin(command, command_id, self._clock)
        if command.run_at is not None and command.run_at > at.at + timedelta(RUN_AT_DAYS_MAX):
            raise RunAtTooFar
        labels, tokens = None, []
        if command.labels:
            labels = seal.seal(LABELS_FIELD, orjson.dumps(command.labels).decode())
            tokens = [
                self._sealer.label_token(at.tenant, name, value)
                for name, value in sorted(command.labels.items())
            ]
        request = JobRequest(
            owner=at.actor,
            tool=tool.name,
            tool_version=tool.offer.version,
            options=seal.seal(OPTIONS_FIELD, options),
            inputs=inputs,
            queue=command.queue,
            priority=command.priority,
            run_at=command.run_at,
            labels=labels,
            label_tokens=tokens,
            attempts_max=tool.offer.attempts_max,
            timeout_seconds=tool.offer.timeout_seconds,
        )
        return Job.submit(job_id, request, at)
