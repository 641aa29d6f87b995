"""A private folder for one run: the inputs come in, the outputs lie there, all of it goes.

Nothing that an owner chose becomes part of a path. The folder is locked as long as its process
lives, so `sweep` can tell what a killed worker left behind from what is in use.
"""

import asyncio
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from processors.tools.base import InputFile
from processors.uninterrupted import uninterrupted

FOLDER_PREFIX = "run-"


class InputDamaged(Exception):
    """The bytes that arrived are not those that were received from the owner."""


class Workspace:
    """The folder of one run; it is made when it is first needed and removed at the end.

    The tool may write in `folder`; the inputs lie read-only beside it.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / f"{FOLDER_PREFIX}{secrets.token_hex(8)}"
        self.folder = self._path / "work"
        self._inputs = self._path / "inputs"
        self._lock: int | None = None
        self._count = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lock is None:
            return
        await uninterrupted(asyncio.to_thread(self._remove, self._lock))

    async def make(self) -> None:
        """Make the folder; needed before a run that takes no inputs and makes outputs."""
        if self._lock is None:
            # Off the loop: a disk that flushes for somebody else lets a new folder wait.
            await uninterrupted(asyncio.to_thread(self._make))

    def _make(self) -> None:
        self._path.mkdir(mode=0o700)
        self._lock = _locked(self._path)
        self.folder.mkdir(mode=0o700)

    async def add(
        self,
        chunks: AsyncIterator[bytes],
        *,
        filename: str,
        media_type: str,
        size_bytes: int,
        sha256: str,
    ) -> InputFile:
        """Bring one input in; raises InputDamaged when the bytes are not the ones described."""
        await self.make()
        if self._count == 0:
            await uninterrupted(asyncio.to_thread(self._inputs.mkdir, 0o700))
        self._count += 1
        path = self._inputs / str(self._count)
        await _write(path, chunks, size_bytes, sha256)
        return InputFile(path, filename, media_type, size_bytes, sha256)

    def _remove(self, lock: int) -> None:
        try:
            remove_tree(self._path)
        finally:
            os.close(lock)


async def _write(path: Path, chunks: AsyncIterator[bytes], size_bytes: int, sha256: str) -> None:
    digest = hashlib.sha256()
    left = size_bytes
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    try:
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                raise InputDamaged(f"more than {size_bytes} bytes")
            await asyncio.to_thread(_take, descriptor, chunk, digest)
    finally:
        os.close(descriptor)
    if left or digest.hexdigest() != sha256:
        raise InputDamaged(f"{left} of {size_bytes} bytes are missing, or the hash differs")


def _take(descriptor: int, chunk: bytes, digest: Any) -> None:
    digest.update(chunk)
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sweep(root: Path, older_than_seconds: float) -> int:
    """Remove the folders of runs whose process is gone; returns how many.

    The age spares a folder that was made a moment ago and is not locked yet.
    """
    made_before = time.time() - older_than_seconds
    return sum(
        _is_older(path, made_before) and _remove_if_left(path)
        for path in list(root.glob(f"{FOLDER_PREFIX}*"))
    )


def _is_older(path: Path, made_before: float) -> bool:
    try:
        return path.is_dir() and path.stat().st_mtime < made_before
    except FileNotFoundError:
        return False


def _remove_if_left(path: Path) -> bool:
    try:
        lock = _locked(path)
    except OSError:
        return False
    try:
        remove_tree(path)
    except FileNotFoundError:
        # Another worker swept it before we had the lock.
        return False
    finally:
        os.close(lock)
    return True


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def remove_tree(path: Path) -> None:
    """Remove a folder whatever a tool made of it: nested beyond any path length, or forbidden.

    Every subfolder is first moved up to the top, so the depth never matters. Nobody else may be at
    work in the folder.
    """
    path.chmod(0o700)
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while subfolders := _emptied_of_files(top):
            for name in subfolders:
                _dissolve(name, top)
    finally:
        os.close(top)
    path.rmdir()


def _emptied_of_files(folder: int) -> list[str]:
    subfolders = []
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.name, 0o700, dir_fd=folder)
            subfolders.append(entry.name)
        else:
            os.unlink(entry.name, dir_fd=folder)
    return subfolders


def _dissolve(name: str, top: int) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(name, flags, dir_fd=top)
    try:
        for child in _emptied_of_files(folder):
            os.rename(child, secrets.token_hex(8), src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)
