"""What the tools for archives share: which kinds there are, what an entry is, what is refused.

Nothing that an archive says of itself is believed: a name is never a path, and bytes are counted as
they come out, however small the archive says they are.
"""

import datetime
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

from processors.tools.base import MIB, ArchiveBomb, DocumentedError, UnsupportedMediaType
from processors.tools.signatures import XLSX

ENTRIES_MAX = 5_000
UNPACKED_BYTES_MAX = 256 * MIB
RATIO_MAX = 250
"""Texts shrink to a tenth, tables of one value to a hundredth; bombs to a thousandth and less."""
RATIO_FREE_BYTES = 16 * MIB
"""So much may come out of however small an archive."""
SHOWN_LENGTH_MAX = 120
DRIVE = re.compile(r"[A-Za-z]:")

ArchiveKind = Literal["zip", "7z", "tar", "gz", "bz2", "xz", "zst"]
MEDIA_TYPES: dict[ArchiveKind, str] = {
    "zip": "application/zip",
    "7z": "application/x-7z-compressed",
    "tar": "application/x-tar",
    "gz": "application/gzip",
    "bz2": "application/x-bzip2",
    "xz": "application/x-xz",
    "zst": "application/zstd",
}
MARKS: tuple[tuple[bytes, ArchiveKind], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
)
INPUT_FORMATS: list[str] = [
    *MEDIA_TYPES.values(),
    # What libmagic and others call them besides, and files that are ZIP archives inside.
    *("application/x-gzip", "application/x-bzip", "application/x-zstd", "application/x-zip"),
    *("application/java-archive", "application/epub+zip", "application/octet-stream"),
    XLSX,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
]


class UnsafePath(DocumentedError):
    """The archive holds an entry that is no plain file, or that points outside of the archive."""

    CODE = "UNSAFE_PATH"


class TooManyEntries(DocumentedError):
    """The archive holds more entries than the tool takes."""

    CODE = "TOO_MANY_ENTRIES"


class EmptyArchive(DocumentedError):
    """The archive holds nothing that could be taken out."""

    CODE = "EMPTY_ARCHIVE"


@dataclass(frozen=True, slots=True)
class Entry:
    """What an archive says of one thing in it."""

    name: str
    kind: Literal["file", "folder", "link", "other"]
    size_bytes: int | None
    packed_bytes: int | None = None
    modified: datetime.datetime | None = None
    is_encrypted: bool = False

    @property
    def shown(self) -> str:
        """Its name, fit for a message."""
        return repr(self.name[:SHOWN_LENGTH_MAX])

    @property
    def danger(self) -> str | None:
        """Why it may not be unpacked."""
        path = self.name.replace("\\", "/")
        if self.kind in ("link", "other"):
            return "it is a link" if self.kind == "link" else "it is neither a file nor a folder"
        if "\0" in path:
            return "its name holds a NUL"
        if path.startswith("/") or DRIVE.match(path):
            return "its path is absolute"
        return "its path leads outside" if ".." in path.split("/") else None


Take = Callable[[Entry, IO[bytes]], None]
"""Reads what it wants of one entry's bytes, which are gone afterwards."""


class Archive(Protocol):
    """An open archive; it is read once, from its beginning to its end."""

    def entries(self) -> Iterator[Entry]:
        """All that it holds, in its own order."""

    def unpack(self, take: Take) -> None:
        """Hand out its plain files, one after the other; raises UnsafePath for what is none."""


class Meter:
    """Counts what comes out of an archive, and ends it when that is too much."""

    def __init__(self, packed_bytes: int) -> None:
        allowed = max(packed_bytes * RATIO_MAX, RATIO_FREE_BYTES)
        self._bytes_max = min(allowed, UNPACKED_BYTES_MAX)
        self._count = 0

    def count(self, amount: int) -> None:
        """So many bytes more came out; raises ArchiveBomb."""
        self._count += amount
        if self._count > self._bytes_max:
            raise ArchiveBomb(f"The archive unpacks to more than {self._bytes_max} bytes.")


def kind_of(path: Path) -> ArchiveKind:
    """Which kind of archive a file is, by its first bytes; raises UnsupportedMediaType."""
    with path.open("rb") as stream:
        head = stream.read(tarfile.BLOCKSIZE)
    for mark, kind in MARKS:
        if head.startswith(mark):
            return kind
    if is_tar_header(head):
        return "tar"
    raise UnsupportedMediaType("The file is no archive that the tool knows.")


def is_tar_header(block: bytes) -> bool:
    """Whether a tar archive begins with this block; its checksum tells."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def check_entry(entry: Entry) -> None:
    """Refuse what must not be unpacked."""
    if entry.danger:
        raise UnsafePath(f"The entry {entry.shown} is refused: {entry.danger}.")
