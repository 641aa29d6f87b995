"""The seam to wherever the bytes of files live.

A blob is written once, under a key of its tenant and a new UUID, and never changed. It exists from
the moment `commit` returns, and then survives a crash; before that there is nothing to see. Whether
anybody still needs a blob is for the log and the sweeper to know.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import NewType, Protocol, Self
from uuid import UUID

from infrastructure.ids import uuid7

BLOCK_BYTES = 1024 * 1024

BlobKey = NewType("BlobKey", str)

_KEY = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)


class BlobError(Exception):
    """The blob store cannot do this."""

    code = "BLOB_ERROR"

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"{self.__doc__} {detail}".strip())


class BlobNotFound(BlobError):
    """There is no blob under this key."""

    code = "BLOB_NOT_FOUND"


class BlobExists(BlobError):
    """A blob is written once; this key has one already."""

    code = "BLOB_EXISTS"


class BadBlobKey(BlobError):
    """A blob key is `tenant/uuid`."""

    code = "BAD_BLOB_KEY"


class InsufficientStorage(BlobError):
    """There is no room left where blobs are kept."""

    code = "INSUFFICIENT_STORAGE"


def new_blob_key(tenant: str) -> BlobKey:
    """A key that was never used; raises BadBlobKey for a tenant that cannot be a folder's name."""
    return checked_key(f"{tenant}/{uuid7()}")


def checked_key(key: str) -> BlobKey:
    """The key, if it has the one form that a key has; so it can never name another place."""
    if not _KEY.fullmatch(key):
        raise BadBlobKey
    return BlobKey(key)


def tenant_of(key: BlobKey) -> str:
    """Whose blob this is."""
    return key.partition("/")[0]


def blob_id_of(key: BlobKey) -> UUID:
    """The blob's own id, without the tenant."""
    return UUID(key.partition("/")[2])


@dataclass(frozen=True, slots=True)
class WrittenBlob:
    """What is known of a blob once it is durable."""

    key: BlobKey
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """A blob as the store lists it."""

    key: BlobKey
    size_bytes: int
    written_at: datetime


class BlobWriter(Protocol):
    """One blob being written; leaving its context without `commit` leaves nothing behind."""

    async def write(self, chunk: bytes) -> None:
        """Add bytes; raises InsufficientStorage."""

    async def commit(self) -> WrittenBlob:
        """Make it durable and visible; raises InsufficientStorage, BlobExists."""

    async def abort(self) -> None:
        """Throw away what was written; does nothing after commit."""

    async def __aenter__(self) -> Self:
        """The writer itself."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Abort, unless committed."""


class BlobStore(Protocol):
    """Keeps blobs."""

    async def write(self, key: BlobKey) -> BlobWriter:
        """Begin a blob; raises BlobExists, BadBlobKey."""

    async def write_file(self, key: BlobKey, source: Path) -> WrittenBlob:
        """Make a blob of a local file's bytes; the file stays."""

    def open(self, key: BlobKey, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end` (not included), in blocks; raises BlobNotFound."""

    async def size(self, key: BlobKey) -> int:
        """How many bytes it has; raises BlobNotFound."""

    async def copy_to(self, key: BlobKey, destination: Path) -> int:
        """Write the bytes to a new local file and say how many; raises BlobNotFound."""

    def local_path(self, key: BlobKey) -> Path | None:
        """The file that holds the bytes, to be read only; None where there is no such file."""

    async def delete(self, key: BlobKey) -> bool:
        """Delete it; False if there was none."""

    async def page(self, after: BlobKey | None, limit: int) -> Sequence[BlobEntry]:
        """The next blobs behind a key, which need not be there, or from the beginning.

        In an order of the store's own, the same each time; fewer than `limit` are the last ones.
        """

    async def discard_unfinished(self, older_than: datetime) -> int:
        """Remove what crashed writers left behind before, and say how many."""

    async def check(self) -> str | None:
        """For readiness: raises CheckFailed when blobs cannot be written."""

    async def close(self) -> None:
        """Let go of threads and connections."""
