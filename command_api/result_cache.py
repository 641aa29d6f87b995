"""Finds the result of an earlier job for the same files, tool, version and options.

It decides from the histories of the index and of the job that it names. A tool whose outputs depend
on what files are called is asked again under another name; for the others the outputs are called
after the new input, so that nobody is ever shown another's file name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final
from uuid import UUID

import orjson

from command_api.commands import SubmitJob
from command_api.input_files import InputFile
from command_api.keys import KeyRing
from command_api.tool_cache import CachedOffer
from events.contracts.result import result_id
from events.contracts.sealed_fields import NAME_FIELD, NOTES_FIELD
from events.contracts.values import FileRef, Origin, SealedText
from events.domain.errors import NotFound
from events.domain.job import Job
from events.domain.result_index import ResultIndex, has_result
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import Repository
from events.store.sealing import Seal, SealBroken, Sealer
from infrastructure.blobs.base import BlobKey, BlobNotFound

FINGERPRINT: Final = "result fingerprint"


@dataclass(frozen=True, slots=True)
class Reuse:
    """A result that is there already, copied for the new job."""

    source: UUID
    outputs: Sequence[FileRef]
    notes: SealedText | None


@dataclass(frozen=True, slots=True)
class Request:
    """What makes two requests ask for the same result."""

    index_id: UUID
    files: Sequence[InputFile]


class ResultCache:
    """Looks results up, and notes who makes those that are not there."""

    def __init__(self, repository: Repository, keys: KeyRing, sealer: Sealer) -> None:
        self._repository = repository
        self._keys = keys
        self._sealer = sealer

    def request(
        self, command: SubmitJob, options: str, tool: CachedOffer, files: Sequence[InputFile]
    ) -> Request | None:
        """What to look for; None for a job that is to run in any case."""
        is_for_now = command.run_at is None and command.delay_seconds is None
        if not (command.cache and tool.offer.cacheable and is_for_now):
            return None
        named = tool.offer.names_matter
        told = [[file.sha256, file.media_type, file.name if named else ""] for file in files]
        # Keyed, as options and names are not for guessing.
        text = orjson.dumps([options, told]).decode()
        tenant = command.principal.tenant
        fingerprint = self._sealer.label_token(tenant, FINGERPRINT, text)
        index_id = result_id(tenant, tool.name, tool.offer.version, fingerprint)
        return Request(index_id, files)

    async def look_up(
        self, wanted: Request, job_id: UUID, seal: Seal, blobs: ProvisionalBlobs, at: Origin
    ) -> Reuse | ResultIndex | None:
        """The result; or the index that names the new job, to be saved with it; or neither.

        Raises LogUnavailable.
        """
        try:
            index = await self._repository.load(ResultIndex, wanted.index_id)
        except NotFound:
            return ResultIndex.seek(wanted.index_id, job_id, at)
        maker = await self._repository.load(Job, index.maker)
        if not maker.status.is_final:
            return None
        if has_result(maker, at.at):
            reuse = await self._copied(maker, wanted.files, seal, blobs, at)
            if reuse is not None:
                return reuse
        index.seek_anew(job_id, at)
        return index

    async def _copied(
        self,
        maker: Job,
        files: Sequence[InputFile],
        seal: Seal,
        blobs: ProvisionalBlobs,
        at: Origin,
    ) -> Reuse | None:
        theirs = await self._keys.seal(maker.id)
        if theirs is None:
            return None
        try:
            names = _names(maker, theirs, [file.name for file in files])
            notes = _notes(maker, theirs, seal, [file.name for file in files])
            keys = [await blobs.copy(BlobKey(file.blob_key), at.tenant) for file in maker.outputs]
        except (_OtherNames, SealBroken, BlobNotFound):
            return None
        outputs = [
            FileRef(seal.seal(NAME_FIELD, name), file.media_type, file.size_bytes, file.sha256, key)
            for name, file, key in zip(names, maker.outputs, keys, strict=True)
        ]
        return Reuse(maker.id, outputs, notes)


class _OtherNames(Exception):
    """It cannot be said what the outputs would be called, or the notes would say."""


def _names(maker: Job, theirs: Seal, ours: Sequence[str]) -> list[str]:
    """What the outputs are called for these inputs."""
    before = [theirs.open(NAME_FIELD, file.name) for file in maker.inputs]
    made = [theirs.open(NAME_FIELD, file.name) for file in maker.outputs]
    if before == list(ours):
        return made
    stems = {PurePath(old).stem: PurePath(new).stem for old, new in zip(before, ours, strict=True)}
    return [_renamed(name, stems) for name in made]


def _notes(maker: Job, theirs: Seal, seal: Seal, ours: Sequence[str]) -> SealedText | None:
    """What its tool said about the outputs, for these inputs."""
    if maker.notes is None:
        return None
    text = theirs.open(NOTES_FIELD, maker.notes)
    before = [theirs.open(NAME_FIELD, file.name) for file in maker.inputs]
    if before != list(ours) and any(PurePath(old).stem in text for old in before):
        # A note that quotes a name would quote that of another job.
        raise _OtherNames
    return seal.seal(NOTES_FIELD, text)


def _renamed(name: str, stems: dict[str, str]) -> str:
    old = PurePath(name).stem
    if old not in stems:
        raise _OtherNames
    return stems[old] + PurePath(name).suffix
