"""Files that are there after a crash: synced themselves, and named in folders that are synced.

Private to their owner. What the files hold, and under which names, is for the blob store to say.
"""

import errno
import os
from pathlib import Path
from typing import BinaryIO

from infrastructure.blobs.base import BlobExists, InsufficientStorage

FOLDER_MODE = 0o700
FILE_MODE = 0o600

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def publish(number: int, part: Path, target: Path) -> None:
    """Make an open file durable under its final name."""
    os.fsync(number)
    if target.exists():
        raise BlobExists
    try:
        part.rename(target)
    except FileNotFoundError:
        make_folder(target.parent)
        part.rename(target)
    sync_folder(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and its parent if need be, so that both names survive a crash."""
    if not folder.parent.exists():
        make_folder(folder.parent)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a crash."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def private(path: str, flags: int) -> int:
    """An opener of files that only their owner reads."""
    return os.open(path, flags, FILE_MODE)


def create(path: Path) -> BinaryIO:
    """Open a new file to write, private; an existing one raises FileExistsError."""
    return open(path, "xb", opener=private)


def translated(error: OSError) -> Exception:
    """The error as the blob store names it, where it has a name for it."""
    return InsufficientStorage() if error.errno in _NO_ROOM else error
