"""The facts of an upload: a file that waits to be the input of a job."""

from typing import ClassVar

from events.contracts.fact import Fact, FirstFact


class UploadReceived(FirstFact):
    """A file arrived whole, was accepted, and is durable in the blob store."""

    TOPIC: ClassVar[str] = "magictoolbox.upload.received"

    owner: str
    filename: str
    """Sealed with the upload's own key, under field `name`."""
    media_type: str
    size_bytes: int
    sha256: str
    blob_key: str
    expires_at: str


class UploadExpired(Fact):
    """Nobody used the upload in time; its file is deleted."""

    TOPIC: ClassVar[str] = "magictoolbox.upload.expired"

    blob_key: str
