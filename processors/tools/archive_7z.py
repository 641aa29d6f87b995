"""Reads 7z archives. Importing this imports py7zr."""

import lzma
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Literal

import py7zr
from py7zr.exceptions import PasswordRequired as NoPassword
from py7zr.exceptions import UnsupportedCompressionMethodError
from py7zr.io import Py7zIO, WriterFactory

from processors.tools.archives import (
    ENTRIES_MAX,
    Entry,
    Meter,
    Take,
    TooManyEntries,
    check_entry,
)
from processors.tools.base import (
    MIB,
    CorruptFile,
    PasswordRequired,
    ToolProcessingError,
    UnsupportedMediaType,
    WrongPassword,
)

PART_PREFIX = "unpacked-"
BLOCK_BYTES = 4 * MIB
# It asks how much memory the machine has for what it unpacks at a time, and a run may not look.
py7zr.py7zr.get_memory_limit = lambda: BLOCK_BYTES  # type: ignore[attr-defined]


@contextmanager
def opened_7z(
    path: Path, password: str | None, meter: Meter, folder: Path
) -> Iterator["SevenZipArchive"]:
    """A 7z archive; its names may be encrypted, too."""
    with (
        path.open("rb") as stream,
        _with_password(password),
        py7zr.SevenZipFile(stream, password=password) as archive,
    ):
        if len(archive.files) > ENTRIES_MAX:
            raise TooManyEntries(f"The archive holds {len(archive.files)} entries.")
        yield SevenZipArchive(archive, password, meter, folder)


@contextmanager
def _with_password(password: str | None) -> Iterator[None]:
    """Tell a password that is wrong from a file that is damaged, as far as 7z lets that be told."""
    try:
        yield
    except ToolProcessingError:
        raise
    except NoPassword:
        raise (WrongPassword if password else PasswordRequired) from None
    except UnsupportedCompressionMethodError:
        raise UnsupportedMediaType(
            "The archive is packed in a way the tool does not know."
        ) from None
    except (py7zr.exceptions.ArchiveError, lzma.LZMAError, EOFError, ValueError, TypeError):
        if password:
            raise WrongPassword from None
        raise


class SevenZipArchive:
    """A 7z archive, encrypted or not."""

    def __init__(
        self, archive: py7zr.SevenZipFile, password: str | None, meter: Meter, folder: Path
    ) -> None:
        self._archive = archive
        self._password = password
        self._meter = meter
        self._folder = folder

    def entries(self) -> Iterator[Entry]:
        """All of them."""
        return map(self._entry, self._archive.files)

    def unpack(self, take: Take) -> None:
        """Hand out the plain files; the format wants them unpacked all at once before."""
        entries = list(self.entries())
        for entry in entries:
            check_entry(entry)
        names = [entry.name for entry in entries if entry.kind == "file"]
        if len(set(names)) != len(names):
            raise CorruptFile("The archive holds two files of one name.")
        if any(entry.is_encrypted for entry in entries) and self._password is None:
            raise PasswordRequired
        with closing(_Parts(self._folder, self._meter)) as parts:
            self._archive.extractall(factory=parts)
        for entry in entries:
            path = parts.paths.get(Path(entry.name).as_posix())
            if entry.kind == "file" and path is not None:
                with path.open("rb") as stream:
                    take(entry, stream)
                path.unlink()

    def _entry(self, file: py7zr.py7zr.ArchiveFile) -> Entry:
        return Entry(
            name=file.filename,
            kind=_kind(file),
            size_bytes=file.uncompressed or 0,
            packed_bytes=file.compressed,
            modified=file.lastwritetime.as_datetime() if file.lastwritetime else None,
            is_encrypted=self._archive.needs_password() and not file.emptystream,
        )


def _kind(file: py7zr.py7zr.ArchiveFile) -> Literal["file", "folder", "link", "other"]:
    if file.is_symlink or file.is_junction:
        return "link"
    if file.is_directory:
        return "folder"
    return "file" if file.is_file else "other"


class _Parts(WriterFactory):
    """Files for what is unpacked, under names of ours."""

    def __init__(self, folder: Path, meter: Meter) -> None:
        self.paths: dict[str, Path] = {}
        self._folder = folder
        self._meter = meter
        self._open: _Part | None = None

    def create(self, filename: str) -> Py7zIO:
        """The next file; they are written one after the other."""
        self.close()
        path = self._folder / f"{PART_PREFIX}{len(self.paths)}"
        self.paths[filename] = path
        self._open = _Part(path.open("w+b"), self._meter)
        return self._open

    def close(self) -> None:
        """Close the last one, which py7zr leaves open when it fails."""
        if self._open is not None:
            self._open.close()


class _Part(Py7zIO):
    """One of them, counted while it is written."""

    def __init__(self, stream: IO[bytes], meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    def write(self, s: bytes | bytearray) -> int:
        self._meter.count(len(s))
        return self._stream.write(s)

    def read(self, size: int | None = None) -> bytes:
        return self._stream.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def flush(self) -> None:
        self._stream.flush()

    def size(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        self._stream.close()
