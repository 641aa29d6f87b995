"""All outputs of a job as one ZIP, made while it is sent.

Nothing is compressed, because most of what tools make is already, and so nothing has to be held:
neither the archive nor any file of it lies in memory or on a disk. The same outputs always give the
same bytes.
"""

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from infrastructure.filenames import clean_filename

FILES_MAX: Final = 1_000
BYTES_MAX: Final = 4 * 1024**3
MADE: Final = (1980, 1, 1, 0, 0, 0)
"""The same for all, so that the bytes do not depend on the time of day."""
READ_BY_OWNER: Final = 0o600 << 16
UNIX: Final = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive."""

    name: str
    blob_key: str
    size_bytes: int
    sha256: str


class TooLarge(Exception):
    """The outputs are too many or too large for one archive."""


def fits(files: Sequence[dict[str, Any]]) -> bool:
    """Whether they may be one archive."""
    return len(files) <= FILES_MAX and sum(file["size_bytes"] for file in files) <= BYTES_MAX


def entries_of(files: Sequence[dict[str, Any]], names: Sequence[str]) -> list[Entry]:
    """The archive's files, each under a name of its own; raises TooLarge."""
    if not fits(files):
        raise TooLarge
    return [
        Entry(name, file["blob_key"], file["size_bytes"], file["sha256"])
        for name, file in zip(_told_apart(names), files, strict=True)
    ]


def etag_of(entries: Sequence[Entry]) -> str:
    """The tag of the archive: that of its files and their names."""
    text = "\n".join(f"{entry.sha256} {entry.name}" for entry in entries)
    return f'"{hashlib.sha256(text.encode()).hexdigest()}"'


async def zipped(
    entries: Sequence[Entry], opened: Callable[[str], AsyncIterator[bytes]]
) -> AsyncIterator[bytes]:
    """The bytes of the archive; `opened` gives those of a blob."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            with archive.open(_head(entry), "w") as stream:
                async for chunk in opened(entry.blob_key):
                    stream.write(chunk)
                    yield sink.taken()
    yield sink.taken()


def _head(entry: Entry) -> zipfile.ZipInfo:
    head = zipfile.ZipInfo(entry.name, MADE)
    head.file_size = entry.size_bytes
    head.external_attr = READ_BY_OWNER
    head.create_system = UNIX
    return head


def _told_apart(names: Sequence[str]) -> list[str]:
    """Names that no system takes for the same, and that are no paths."""
    taken: set[str] = set()
    found = []
    for name in map(clean_filename, names):
        stem, dot, suffix = name.rpartition(".")
        count, own = 1, name
        while own.casefold() in taken:
            count += 1
            own = f"{stem} ({count}){dot}{suffix}" if stem else f"{name} ({count})"
        taken.add(own.casefold())
        found.append(own)
    return found


class _Sink(io.RawIOBase):
    """Where an archive is written to, and taken from at once; there is no way back in it."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last call."""
        taken, self._held = bytes(self._held), bytearray()
        return taken
