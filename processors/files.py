"""Brings the inputs of a job into its workspace, and its outputs into the blob store.

Names are opened only here and sealed again only here. What is stored is durable before it is named
in an event; what is stored for nothing is deleted.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from events.contracts.sealed_fields import NAME_FIELD
from events.contracts.values import FileRef
from events.domain.job import Job
from events.store.sealing import Seal
from infrastructure.blobs.base import (
    BlobError,
    BlobKey,
    BlobNotFound,
    BlobStore,
    InsufficientStorage,
    checked_key,
    new_blob_key,
)
from processors.sandbox.run import CollectedOutput
from processors.tools.base import DocumentedError, InputFile
from processors.uninterrupted import uninterrupted
from processors.workspace import InputDamaged, Workspace

FETCH_SECONDS_MAX: Final = 300.0
STORE_SECONDS_MAX: Final = 300.0

log = structlog.get_logger(__name__)


class InputGone(DocumentedError):
    """A file of the job is not there any more; submit the job again."""

    CODE = "INPUT_GONE"


class InputNotReadable(DocumentedError):
    """A file of the job could not be read as it was received."""

    CODE = "INPUT_DAMAGED"
    PERMANENT = False


class StorageFull(DocumentedError):
    """There is no room for the result at the moment."""

    CODE = "INSUFFICIENT_STORAGE"
    PERMANENT = False


class Files:
    """Carries files between blobs and workspaces."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def bring_in(self, job: Job, seal: Seal, workspace: Workspace) -> tuple[InputFile, ...]:
        """The inputs of a job, in its workspace; raises ToolProcessingError."""
        try:
            async with asyncio.timeout(FETCH_SECONDS_MAX):
                return tuple([await self._fetch(file, seal, workspace) for file in job.inputs])
        except BlobNotFound:
            raise InputGone from None
        except (InputDamaged, BlobError, OSError) as error:
            raise InputNotReadable(stack=repr(error)) from error

    async def store(
        self, job: Job, seal: Seal, outputs: Sequence[CollectedOutput]
    ) -> list[FileRef]:
        """The outputs as durable blobs, all or none; raises StorageFull."""
        keys = [new_blob_key(job.tenant) for _ in outputs]
        try:
            async with asyncio.timeout(STORE_SECONDS_MAX):
                return [
                    await self._store(key, seal, output)
                    for key, output in zip(keys, outputs, strict=True)
                ]
        except BaseException as error:
            await uninterrupted(self.delete(keys))
            if isinstance(error, InsufficientStorage | OSError):
                raise StorageFull(stack=repr(error)) from error
            raise

    async def delete(self, blob_keys: Iterable[str]) -> None:
        """Delete blobs that nothing refers to; what fails is left to the sweeper."""
        for blob_key in blob_keys:
            try:
                await self._blobs.delete(checked_key(blob_key))
            except (BlobError, OSError):
                log.warning("blob_not_deleted", blob_key=blob_key, exc_info=True)

    async def _fetch(self, file: FileRef, seal: Seal, workspace: Workspace) -> InputFile:
        return await workspace.add(
            self._blobs.open(checked_key(file.blob_key)),
            filename=seal.open(NAME_FIELD, file.name),
            media_type=file.media_type,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
        )

    async def _store(self, key: BlobKey, seal: Seal, output: CollectedOutput) -> FileRef:
        # To its end, so that a deletion cannot overtake it.
        written = await uninterrupted(self._blobs.write_file(key, output.path))
        return FileRef(
            name=seal.seal(NAME_FIELD, output.name),
            media_type=output.media_type,
            size_bytes=written.size_bytes,
            sha256=written.sha256,
            blob_key=key,
        )
