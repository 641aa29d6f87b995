"""Blobs as files below one folder.

A blob is written to `.incoming`, synced, renamed to `tenant/xx/uuid`, and the folder that names it
is synced too: only then does `commit` return. Keys are checked before they become paths. Blocks of
1 MiB go through aiofiles, hashed on another thread meanwhile; a blob that fits into one block costs
a single trip to a thread.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import aiofiles

from infrastructure.blobs.base import (
    BLOCK_BYTES,
    BadBlobKey,
    BlobEntry,
    BlobKey,
    BlobNotFound,
    WrittenBlob,
    blob_id_of,
    checked_key,
    tenant_of,
)
from infrastructure.blobs.disk_writer import DiskWriter
from infrastructure.blobs.durable import FOLDER_MODE, create, publish, translated
from infrastructure.health import CheckFailed

INCOMING = ".incoming"
THREADS = 8
FREE_BYTES_MIN = 64 * 1024 * 1024


Result = TypeVar("Result")


class DiskBlobStore:
    """Keeps blobs below `root`, which it makes if need be."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / INCOMING
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blobs")
        self._incoming.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)

    async def write(self, key: BlobKey) -> DiskWriter:
        """Begin a blob; nothing touches the disk before the first full block."""
        target = self._path(key)
        return DiskWriter(self._threads, key, self._incoming / f"{uuid4()}.part", target)

    async def write_file(self, key: BlobKey, source: Path) -> WrittenBlob:
        """Make a blob of a local file's bytes."""
        target = self._path(key)
        part = self._incoming / f"{uuid4()}.part"

        def copy() -> WrittenBlob:
            try:
                with source.open("rb") as reader, create(part) as file:
                    digest, size = hashlib.sha256(), 0
                    while block := reader.read(BLOCK_BYTES):
                        digest.update(block)
                        size += file.write(block)
                    file.flush()
                    publish(file.fileno(), part, target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            return WrittenBlob(key, size, digest.hexdigest())

        return await self._in_thread(copy)

    async def open(
        self, key: BlobKey, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end`, in blocks."""
        path = self._path(key)
        with _found():
            file = await aiofiles.open(path, "rb", executor=self._threads)
        try:
            if start:
                await file.seek(start)
            left = None if end is None else end - start
            while left is None or left > 0:
                block = await file.read(BLOCK_BYTES if left is None else min(left, BLOCK_BYTES))
                if not block:
                    return
                left = None if left is None else left - len(block)
                yield block
        finally:
            await file.close()

    async def size(self, key: BlobKey) -> int:
        """How many bytes it has."""
        path = self._path(key)

        def measure() -> int:
            with _found():
                return path.stat().st_size

        return await self._in_thread(measure)

    async def copy_to(self, key: BlobKey, destination: Path) -> int:
        """Write the bytes to a new local file.

        A copy, never a link: a tool that writes to its input must not change the blob.
        """
        path = self._path(key)

        def copy() -> int:
            with _found():
                reader = path.open("rb")
            with reader, destination.open("xb") as file:
                shutil.copyfileobj(reader, file, BLOCK_BYTES)
                return file.tell()

        return await self._in_thread(copy)

    def local_path(self, key: BlobKey) -> Path | None:
        """The file that holds the bytes."""
        path = self._path(key)
        if not path.exists():
            raise BlobNotFound
        return path

    async def delete(self, key: BlobKey) -> bool:
        """Delete it; the deletion may be undone by a crash of the machine, and is then repeated."""
        path = self._path(key)

        def remove() -> bool:
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            return True

        return await self._in_thread(remove)

    async def page(self, after: BlobKey | None, limit: int) -> Sequence[BlobEntry]:
        """The next blobs behind a key, folder by folder; of one folder all names are read."""
        behind = ("", "", "") if after is None else _place(after)
        return await self._in_thread(lambda: list(islice(self._walk(behind), limit)))

    async def discard_unfinished(self, older_than: datetime) -> int:
        """Remove what crashed writers left behind before."""

        def discard() -> int:
            removed = 0
            for part in self._incoming.iterdir():
                with suppress(FileNotFoundError):
                    if part.stat().st_mtime < older_than.timestamp():
                        part.unlink()
                        removed += 1
            return removed

        return await self._in_thread(discard)

    async def check(self) -> str | None:
        """For readiness: there must be room for an upload."""
        stat = await self._in_thread(lambda: os.statvfs(self._incoming))
        if stat.f_bavail * stat.f_frsize < FREE_BYTES_MIN:
            raise CheckFailed("disk full")
        return None

    async def close(self) -> None:
        """End the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    def _path(self, key: BlobKey) -> Path:
        return self._root.joinpath(*_place(checked_key(key)))

    def _walk(self, behind: tuple[str, str, str]) -> Iterator[BlobEntry]:
        """What lies behind a place, in the order of places."""
        for tenant in _names(self._root, behind[0]):
            last = behind if tenant == behind[0] else ("", "", "")
            for shard in _names(self._root / tenant, last[1]):
                blob_id = last[2] if shard == last[1] else ""
                folder = self._root / tenant / shard
                found = (_entry(tenant, folder / name) for name in _names(folder, blob_id))
                yield from (each for each in found if each and _place(each.key) > behind)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            raise translated(error) from error


def _place(key: BlobKey) -> tuple[str, str, str]:
    """The names of the folders and of the file where a blob lies."""
    blob_id = str(blob_id_of(key))
    # The last digits of a UUIDv7 are random, the first are the time: these spread evenly.
    return tenant_of(key), blob_id[-2:], blob_id


def _names(folder: Path, first: str) -> list[str]:
    """What is in a folder from a name on, in order; nothing if it is gone, or no folder of ours."""
    try:
        return sorted(each.name for each in folder.iterdir() if each.name >= first)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _entry(tenant: str, path: Path) -> BlobEntry | None:
    """A blob as it is listed; None for what is not ours, or was deleted meanwhile."""
    try:
        key = checked_key(f"{tenant}/{path.name}")
        stat = path.stat()
    except (BadBlobKey, FileNotFoundError):
        return None
    if path.parent.name != _place(key)[1]:
        return None
    return BlobEntry(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))


@contextmanager
def _found() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BlobNotFound from None
