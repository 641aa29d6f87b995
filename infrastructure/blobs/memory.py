"""Blobs in memory, for tests: the same promises as on disk, except to survive."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from infrastructure.blobs.base import (
    BLOCK_BYTES,
    BlobEntry,
    BlobExists,
    BlobKey,
    BlobNotFound,
    InsufficientStorage,
    WrittenBlob,
    checked_key,
)
from infrastructure.clock import Clock, SystemClock

CAPACITY_BYTES = 256 * 1024 * 1024


class MemoryBlobStore:
    """Keeps blobs in a dictionary, up to `capacity_bytes` together."""

    def __init__(self, *, capacity_bytes: int = CAPACITY_BYTES, clock: Clock | None = None) -> None:
        self._clock = clock if clock is not None else SystemClock()
        self._capacity_bytes = capacity_bytes
        self._blobs: dict[BlobKey, tuple[bytes, datetime]] = {}
        self._unfinished: dict[_MemoryWriter, datetime] = {}

    async def write(self, key: BlobKey) -> "_MemoryWriter":
        """Begin a blob."""
        if checked_key(key) in self._blobs:
            raise BlobExists
        writer = _MemoryWriter(self, key)
        self._unfinished[writer] = self._clock.now()
        return writer

    async def write_file(self, key: BlobKey, source: Path) -> WrittenBlob:
        """Make a blob of a local file's bytes."""
        async with await self.write(key) as writer:
            await writer.write(await asyncio.to_thread(source.read_bytes))
            return await writer.commit()

    async def open(
        self, key: BlobKey, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end`, in blocks."""
        content = self._content(key)[start:end]
        for at in range(0, len(content), BLOCK_BYTES):
            yield content[at : at + BLOCK_BYTES]

    async def size(self, key: BlobKey) -> int:
        """How many bytes it has."""
        return len(self._content(key))

    async def copy_to(self, key: BlobKey, destination: Path) -> int:
        """Write the bytes to a new local file."""
        content = self._content(key)

        def copy() -> int:
            with destination.open("xb") as copied:
                return copied.write(content)

        return await asyncio.to_thread(copy)

    def local_path(self, key: BlobKey) -> Path | None:
        """There is none."""
        self._content(key)
        return None

    async def delete(self, key: BlobKey) -> bool:
        """Delete it."""
        return self._blobs.pop(checked_key(key), None) is not None

    async def page(self, after: BlobKey | None, limit: int) -> Sequence[BlobEntry]:
        """The next blobs behind a key, sorted by key."""
        behind = sorted(key for key in self._blobs if after is None or key > after)
        return [
            BlobEntry(key, len(content), written_at)
            for key in behind[:limit]
            for content, written_at in [self._blobs[key]]
        ]

    async def discard_unfinished(self, older_than: datetime) -> int:
        """Forget writers that began before."""
        old = [writer for writer, began in self._unfinished.items() if began < older_than]
        for writer in old:
            await writer.abort()
        return len(old)

    async def check(self) -> str | None:
        """It can always be written."""
        return "memory"

    async def close(self) -> None:
        """Nothing to let go of."""

    def _content(self, key: BlobKey) -> bytes:
        if checked_key(key) not in self._blobs:
            raise BlobNotFound
        return self._blobs[key][0]

    def _claim(self, size: int) -> None:
        used = sum(len(content) for content, _ in self._blobs.values())
        if used + size > self._capacity_bytes:
            raise InsufficientStorage

    def _keep(self, writer: "_MemoryWriter", content: bytes) -> WrittenBlob:
        if writer.key in self._blobs:
            raise BlobExists
        self._blobs[writer.key] = (content, self._clock.now())
        return WrittenBlob(writer.key, len(content), hashlib.sha256(content).hexdigest())


class _MemoryWriter:
    def __init__(self, store: MemoryBlobStore, key: BlobKey) -> None:
        self.key = key
        self._store = store
        self._content = bytearray()

    async def write(self, chunk: bytes) -> None:
        self._store._claim(len(self._content) + len(chunk))
        self._content += chunk

    async def commit(self) -> WrittenBlob:
        written = self._store._keep(self, bytes(self._content))
        self._store._unfinished.pop(self, None)
        return written

    async def abort(self) -> None:
        self._store._unfinished.pop(self, None)
        self._content.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.abort()
