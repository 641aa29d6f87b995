"""Reads tar archives, member by member."""

import datetime
import tarfile
from collections.abc import Iterator
from typing import IO, Literal, cast

from processors.tools.archives import (
    ENTRIES_MAX,
    Entry,
    Meter,
    Take,
    TooManyEntries,
    check_entry,
)
from processors.tools.base import CorruptFile
from processors.tools.metered import Metered


class TarArchive:
    """A tar archive that is read forwards."""

    def __init__(self, stream: Metered, meter: Meter) -> None:
        """`meter` counts the bytes of members: a sparse one may have more than the archive."""
        self._stream = stream
        self._meter = meter
        self._tar = tarfile.open(  # noqa: SIM115
            fileobj=cast(IO[bytes], stream), mode="r:", errorlevel=1
        )

    def entries(self) -> Iterator[Entry]:
        """All members."""
        for member in self._members():
            yield _entry(member)

    def unpack(self, take: Take) -> None:
        """Hand out the plain files."""
        for member in self._members():
            entry = _entry(member)
            check_entry(entry)
            content = self._tar.extractfile(member) if entry.kind == "file" else None
            if content is not None:
                take(entry, cast(IO[bytes], Metered(content, self._meter)))

    def _members(self) -> Iterator[tarfile.TarInfo]:
        for number, member in enumerate(self._tar, 1):
            if number > ENTRIES_MAX:
                raise TooManyEntries(f"The archive holds more than {ENTRIES_MAX} entries.")
            yield member
        # A member whose header is damaged looks like the end, and the rest would be lost unseen.
        if self._stream.last.strip(b"\0"):
            raise CorruptFile("The archive is damaged: a header in the middle cannot be read.")


def _entry(member: tarfile.TarInfo) -> Entry:
    return Entry(
        name=member.name.removeprefix("./") or ".",
        kind=_kind(member),
        size_bytes=member.size,
        modified=_moment(member.mtime),
    )


def _kind(member: tarfile.TarInfo) -> Literal["file", "folder", "link", "other"]:
    if member.issym() or member.islnk():
        return "link"
    if member.isdir():
        return "folder"
    return "file" if member.isreg() else "other"


def _moment(seconds: float) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return None
