"""Writes one blob to disk, in blocks, and leaves nothing behind if it is not committed.

Steps on threads run to their end even when the caller is cancelled, so that `abort` never races
with a thread that still writes.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import aiofiles
from aiofiles.threadpool.binary import AsyncBufferedIOBase

from infrastructure import metrics
from infrastructure.blobs.base import BLOCK_BYTES, BlobKey, WrittenBlob
from infrastructure.blobs.durable import create, private, publish, translated


class DiskWriter:
    """Writes one blob: to `part`, in blocks, and at last to `target`."""

    def __init__(self, threads: Executor, key: BlobKey, part: Path, target: Path) -> None:
        self._threads = threads
        self._key = key
        self._part = part
        self._target = target
        self._chunks: list[bytes] = []
        self._chunk_bytes = 0
        self._size = 0
        self._digest = hashlib.sha256()
        self._file: AsyncBufferedIOBase | None = None
        self._step: asyncio.Future[None] | None = None
        self._is_published = False
        self._is_done = False

    async def write(self, chunk: bytes) -> None:
        """Add bytes; a full block goes to the disk."""
        self._chunks.append(chunk)
        self._chunk_bytes += len(chunk)
        if self._chunk_bytes >= BLOCK_BYTES:
            await self._uninterrupted(self._flush())

    async def commit(self) -> WrittenBlob:
        """Make it durable and visible."""
        began = time.perf_counter()
        await self._uninterrupted(self._finish())
        self._is_done = True
        metrics.BLOB_SYNC_SECONDS.observe(time.perf_counter() - began)
        return WrittenBlob(self._key, self._size, self._digest.hexdigest())

    async def abort(self) -> None:
        """Remove whatever was written."""
        if self._is_done:
            return
        self._is_done = True
        if self._step is not None:
            # A thread may still be writing for a caller that was cancelled.
            await asyncio.wait({self._step})
        self._chunks.clear()
        if self._file is not None:
            with suppress(OSError):
                await self._file.close()
        await self._in_thread(self._remove)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_done:
            # Shielded: a request that was cancelled must not leave its file behind.
            await asyncio.shield(asyncio.ensure_future(self.abort()))

    async def _uninterrupted(self, step: Coroutine[None, None, None]) -> None:
        """Let a step run to its end even if the caller is cancelled; `abort` waits for it."""
        self._step = asyncio.ensure_future(step)
        await asyncio.shield(self._step)

    def _take(self) -> bytes:
        block = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._chunk_bytes = 0
        self._size += len(block)
        return block

    async def _flush(self) -> None:
        block = self._take()
        threads = self._threads
        try:
            if self._file is None:
                self._file = await aiofiles.open(self._part, "xb", opener=private, executor=threads)
            hashing = asyncio.get_running_loop().run_in_executor(
                threads, self._digest.update, block
            )
            try:
                await self._file.write(block)
            finally:
                await hashing
        except OSError as error:
            raise translated(error) from error

    async def _finish(self) -> None:
        if self._file is None:
            await self._in_thread(self._write_whole)
            return
        await self._flush()
        await self._file.flush()
        number = self._file.fileno()
        await self._in_thread(lambda: self._publish(number))
        await self._file.close()

    async def _in_thread(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            raise translated(error) from error

    def _write_whole(self) -> None:
        block = self._take()
        self._digest.update(block)
        with create(self._part) as file:
            file.write(block)
            file.flush()
            self._publish(file.fileno())

    def _publish(self, number: int) -> None:
        publish(number, self._part, self._target)
        self._is_published = True

    def _remove(self) -> None:
        self._part.unlink(missing_ok=True)
        if self._is_published:
            self._target.unlink(missing_ok=True)
