"""Finds the files that a job is to run on: received with the request, uploaded before, or made by
another job.

Names lie sealed in the log; here they are open for as long as the request lasts. A file of somebody
else is as absent as one that never was.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

from command_api.access import owner_id, require_job
from command_api.commands import JobInput, OutputInput, ReceivedInput, UploadInput
from command_api.errors import OutputNotFound
from command_api.keys import KeyRing
from events.contracts.sealed_fields import NAME_FIELD
from events.contracts.values import FileRef, JobStatus
from events.domain.errors import (
    DomainError,
    JobNotFound,
    NotFound,
    ResultExpired,
    UploadNotFound,
)
from events.domain.job import Job
from events.domain.upload import Upload
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import Repository
from events.store.sealing import Seal, SealBroken
from infrastructure.blobs.base import BlobKey, BlobNotFound
from infrastructure.clock import Clock
from infrastructure.principals import Principal


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that was found."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    blob_key: BlobKey
    gone: DomainError | None = None
    """What to say when its blob is not there any more; None if it came with this request."""
    is_usable: bool = True
    """Whether it still may be an input."""


class InputFiles:
    """Finds files by what a client calls them."""

    def __init__(self, repository: Repository, keys: KeyRing, clock: Clock) -> None:
        self._repository = repository
        self._keys = keys
        self._clock = clock

    async def find(self, principal: Principal, inputs: Sequence[JobInput]) -> list[InputFile]:
        """The files in their order.

        Raises UploadNotFound, JobNotFound, OutputNotFound, LogUnavailable. One that was there and
        is gone is returned as unusable: a repeated request still has to be recognized.
        """
        return list(await asyncio.gather(*(self._find(principal, each) for each in inputs)))

    async def _find(self, principal: Principal, wanted: JobInput) -> InputFile:
        match wanted:
            case ReceivedInput(file):
                return InputFile(
                    file.filename,
                    file.media_type,
                    file.size_bytes,
                    file.sha256,
                    file.blob_key,
                )
            case UploadInput(upload_id):
                return await self._upload(principal, upload_id)
            case OutputInput(job_id, output):
                return await self._output(principal, job_id, output)
            case _:
                assert_never(wanted)

    async def _upload(self, principal: Principal, upload_id: UUID) -> InputFile:
        try:
            upload = await self._repository.load(Upload, upload_id)
        except NotFound:
            raise UploadNotFound(upload_id=str(upload_id)) from None
        if (upload.tenant, upload.owner) != (principal.tenant, owner_id(principal)):
            raise UploadNotFound(upload_id=str(upload_id))
        is_usable = upload.usable_by(owner_id(principal), principal.tenant, self._clock.now())
        seal = await self._keys.seal(upload_id)
        gone = UploadNotFound(upload_id=str(upload_id))
        return _found(upload.file, seal, gone, is_usable and seal is not None)

    async def _output(self, principal: Principal, job_id: UUID, output: str) -> InputFile:
        try:
            job = await self._repository.load(Job, job_id)
        except NotFound:
            raise JobNotFound(job_id=str(job_id)) from None
        require_job(principal, job)
        seal = await self._keys.seal(job_id)
        is_usable = job.status is JobStatus.SUCCEEDED and not job.result_expired
        for file in job.outputs if seal is not None else ():
            if _name(file, seal) == output:
                return _found(file, seal, ResultExpired(job_id=str(job_id)), is_usable)
        raise OutputNotFound(job_id=str(job_id), output=output)


async def owned(file: InputFile, tenant: str, seal: Seal, blobs: ProvisionalBlobs) -> FileRef:
    """The file with a blob of its own, its name under this seal; raises what `gone` says.

    So what it was made from may expire or be erased.
    """
    key = await _own_blob(file, tenant, blobs)
    name = seal.seal(NAME_FIELD, file.name)
    return FileRef(name, file.media_type, file.size_bytes, file.sha256, key)


async def _own_blob(file: InputFile, tenant: str, blobs: ProvisionalBlobs) -> BlobKey:
    if file.gone is None:
        return file.blob_key
    if not file.is_usable:
        raise file.gone
    try:
        return await blobs.copy(file.blob_key, tenant)
    except BlobNotFound:
        raise file.gone from None


def _found(file: FileRef, seal: Seal | None, gone: DomainError, is_usable: bool) -> InputFile:
    return InputFile(
        _name(file, seal) or "",
        file.media_type,
        file.size_bytes,
        file.sha256,
        BlobKey(file.blob_key),
        gone,
        is_usable,
    )


def _name(file: FileRef, seal: Seal | None) -> str | None:
    try:
        return None if seal is None else seal.open(NAME_FIELD, file.name)
    except SealBroken:
        return None
