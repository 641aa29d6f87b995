"""Reads ZIP archives, by what is in them and not by what their directory says."""

import datetime
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, cast

from processors.tools.archives import (
    ENTRIES_MAX,
    Entry,
    Meter,
    Take,
    TooManyEntries,
    check_entry,
)
from processors.tools.base import (
    ArchiveBomb,
    PasswordRequired,
    UnsupportedMediaType,
    WrongPassword,
)
from processors.tools.extras import needed
from processors.tools.metered import Metered

ENCRYPTED, UTF_8 = 0x1, 0x800
AES = 99
"""What stands in the place of the compression of an entry that is encrypted with AES."""
LOCAL_HEADER_BYTES = 30


@contextmanager
def opened_zip(path: Path, password: str | None, meter: Meter) -> Iterator["ZipArchive"]:
    """A ZIP archive, once its directory is looked over."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > ENTRIES_MAX:
            raise TooManyEntries(f"The archive holds {len(entries)} entries.")
        _refuse_overlaps(entries)
        if not any(entry.compress_type == AES for entry in entries):
            yield ZipArchive(archive, password, meter)
            return
    needed("pyzipper", "archive", "ZIP archives with AES encryption")
    import pyzipper

    with pyzipper.AESZipFile(path) as encrypted:
        yield ZipArchive(encrypted, password, meter)


def _refuse_overlaps(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse entries that share their bytes: a few packed ones stand for thousands then."""
    end = 0
    for entry in sorted(entries, key=lambda each: each.header_offset):
        if entry.header_offset < end:
            raise ArchiveBomb("The archive has entries that overlap.")
        end = entry.header_offset + LOCAL_HEADER_BYTES + entry.compress_size


class ZipArchive:
    """A ZIP archive, encrypted or not."""

    def __init__(self, archive: zipfile.ZipFile, password: str | None, meter: Meter) -> None:
        self._archive = archive
        self._password = password.encode() if password else None
        self._meter = meter

    def entries(self) -> Iterator[Entry]:
        """All of them."""
        return map(_entry, self._archive.infolist())

    def unpack(self, take: Take) -> None:
        """Hand out the plain files."""
        for info in self._archive.infolist():
            entry = _entry(info)
            check_entry(entry)
            if entry.kind == "file":
                with self._opened(info, entry) as stream:
                    take(entry, cast(IO[bytes], Metered(stream, self._meter)))

    @contextmanager
    def _opened(self, info: zipfile.ZipInfo, entry: Entry) -> Iterator[IO[bytes]]:
        if entry.is_encrypted and self._password is None:
            raise PasswordRequired
        try:
            with self._archive.open(info, pwd=self._password) as stream:
                yield stream
        except NotImplementedError:
            raise UnsupportedMediaType(
                f"The entry {entry.shown} is packed in a way that the tool does not know."
            ) from None
        except (RuntimeError, zlib.error, zipfile.BadZipFile) as error:
            # The check of a ZIP password is one byte: what passes by chance unpacks to nonsense.
            if entry.is_encrypted and not isinstance(error, RecursionError):
                raise WrongPassword from None
            raise


def _entry(info: zipfile.ZipInfo) -> Entry:
    return Entry(
        name=_name(info),
        kind=_kind(info),
        size_bytes=info.file_size,
        packed_bytes=info.compress_size,
        modified=_moment(info.date_time),
        is_encrypted=bool(info.flag_bits & ENCRYPTED),
    )


def _name(info: zipfile.ZipInfo) -> str:
    """The name as it was meant: many programs write UTF-8 and do not say so."""
    name = info.orig_filename
    if info.flag_bits & UTF_8:
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _kind(info: zipfile.ZipInfo) -> Literal["file", "folder", "link", "other"]:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "link"
    if info.is_dir():
        return "folder"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "other"


def _moment(fields: tuple[int, ...]) -> datetime.datetime | None:
    try:
        return datetime.datetime(*fields)  # type: ignore[arg-type] # noqa: DTZ001 (a ZIP knows no zones)
    except (ValueError, TypeError):
        return None
