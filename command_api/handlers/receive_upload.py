"""Keeps a received file for jobs to come, until its time is over."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from command_api.access import origin, owner_id, require
from command_api.commands import ReceiveUpload
from events.contracts.sealed_fields import NAME_FIELD
from events.contracts.values import FileRef
from events.domain.upload import Upload
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import Repository
from events.store.sealing import Sealer
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.principals import Role

UPLOAD_LIFETIME: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class ReceivedUpload:
    """An upload that is recorded."""

    upload_id: UUID
    position: int
    expires_at: datetime


class ReceiveUploadHandler:
    """Handles ReceiveUpload."""

    def __init__(self, repository: Repository, sealer: Sealer, clock: Clock) -> None:
        self._repository = repository
        self._sealer = sealer
        self._clock = clock

    async def __call__(self, command: ReceiveUpload, blobs: ProvisionalBlobs) -> ReceivedUpload:
        """Record the upload; raises Forbidden, LogUnavailable, OutcomeUnknown."""
        require(command.principal, Role.CLIENT)
        upload_id, owner = uuid7(), owner_id(command.principal)
        seal, key = self._sealer.new_key(upload_id, command.principal.tenant, owner)
        received = command.file
        file = FileRef(
            name=seal.seal(NAME_FIELD, received.filename),
            media_type=received.media_type,
            size_bytes=received.size_bytes,
            sha256=received.sha256,
            blob_key=received.blob_key,
        )
        at = origin(command, str(uuid7()), self._clock)
        upload = Upload.receive(upload_id, owner, file, at.at + UPLOAD_LIFETIME, at)
        with blobs.recording():
            saved = await self._repository.save(upload, keys=(key,))
        return ReceivedUpload(upload_id, saved.position, upload.expires_at)
