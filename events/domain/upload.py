"""The upload: a file that was received and may become the input of jobs until it expires."""

from datetime import datetime
from typing import ClassVar, Self
from uuid import UUID

from events.contracts import upload as facts
from events.contracts.fact import AnyFact
from events.contracts.values import FileRef, Origin, SealedText
from events.domain.aggregate import Aggregate
from events.domain.errors import UploadNotFound


class Upload(Aggregate):
    """One received file with an owner and an expiry."""

    TOPIC = "magictoolbox.upload"
    FOLDS: ClassVar[dict[type[AnyFact], str]] = {
        facts.UploadReceived: "_received",
        facts.UploadExpired: "_expired",
    }

    class Event(Aggregate.Event):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.upload.event"

    class Created(Event, Aggregate.Created):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.upload.created"

    @classmethod
    def receive(
        cls, upload_id: UUID, owner: str, file: FileRef, expires_at: datetime, origin: Origin
    ) -> Self:
        """Accept a file that is durable in the blob store."""
        return cls._create(
            facts.UploadReceived,
            id=upload_id,
            owner=owner,
            filename=file.name,
            media_type=file.media_type,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            blob_key=file.blob_key,
            expires_at=expires_at.isoformat(),
            **origin.fields(),
        )

    def expire(self, origin: Origin) -> str:
        """End its life; returns the blob to delete."""
        if self.expired or origin.at < self.expires_at:
            raise UploadNotFound
        self.trigger_event(facts.UploadExpired, blob_key=self.file.blob_key, **origin.fields())
        return self.file.blob_key

    def usable_by(self, owner: str, tenant: str, now: datetime) -> bool:
        """Whether this user may still make it the input of a job."""
        mine = self.tenant == tenant and self.owner == owner
        return mine and not self.expired and now < self.expires_at

    def _received(self, fact: facts.UploadReceived) -> None:
        self.tenant = fact.tenant
        self.owner = fact.owner
        self.file = FileRef(
            name=SealedText(fact.filename),
            media_type=fact.media_type,
            size_bytes=fact.size_bytes,
            sha256=fact.sha256,
            blob_key=fact.blob_key,
        )
        self.expires_at = datetime.fromisoformat(fact.expires_at)
        self.expired = False

    def _expired(self, fact: facts.UploadExpired) -> None:
        self.expired = True
