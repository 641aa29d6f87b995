"""Opens archives of strangers for reading, whatever kind they are.

The kind is told by the first bytes. What comes out is counted while it comes; a tar inside gzip,
bzip2, xz or zstd is read through, and anything else inside those is their one file.
"""

import bz2
import gzip
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from pydantic import SecretStr

from processors.tools.archive_tar import TarArchive
from processors.tools.archive_zip import opened_zip
from processors.tools.archives import Archive, ArchiveKind, Entry, Meter, Take, kind_of
from processors.tools.base import InputFile, ToolInput
from processors.tools.extras import needed
from processors.tools.filenames import clean_stem
from processors.tools.metered import Metered
from processors.tools.parsing import parsing


@contextmanager
def opened(input_data: ToolInput, password: SecretStr | None) -> Iterator[Archive]:
    """The one archive that is given; what goes wrong with it is the archive's fault."""
    (file,) = input_data.files
    secret = password.get_secret_value() if password else None
    kind = kind_of(file.path)
    meter = Meter(file.size_bytes)
    with parsing():
        if kind == "zip":
            with opened_zip(file.path, secret, meter) as archive:
                yield archive
        elif kind == "7z":
            needed("py7zr", "archive", "7z archives")
            from processors.tools.archive_7z import opened_7z

            with opened_7z(file.path, secret, meter, input_data.folder) as seven:
                yield seven
        else:
            with _decompressed(file.path, kind) as stream:
                yield _tar_or_single(stream, kind, file, meter)


def _tar_or_single(stream: IO[bytes], kind: ArchiveKind, file: InputFile, meter: Meter) -> Archive:
    metered = Metered(stream, meter)
    if kind == "tar" or metered.begins_like_a_tar():
        return TarArchive(metered, Meter(file.size_bytes))
    return SingleFile(metered, clean_stem(file.filename))


@contextmanager
def _decompressed(path: Path, kind: ArchiveKind) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        match kind:
            case "gz":
                stream = cast(IO[bytes], gzip.GzipFile(fileobj=raw))
            case "bz2":
                stream = bz2.BZ2File(raw)
            case "xz":
                stream = lzma.LZMAFile(raw)  # noqa: SIM115
            case "zst":
                stream = _zstd(raw)
            case _:
                stream = raw
        with stream:
            yield stream


def _zstd(raw: IO[bytes]) -> IO[bytes]:
    needed("backports.zstd", "archive", "Zstandard archives")
    from backports import zstd

    return cast(IO[bytes], zstd.ZstdFile(raw))


class SingleFile:
    """A compressed file that is no archive: it holds itself, under its name without the suffix."""

    def __init__(self, stream: Metered, name: str) -> None:
        self._stream = stream
        self._name = name

    def entries(self) -> Iterator[Entry]:
        """The one file; how large it is shows only at its end."""
        yield Entry(self._name, "file", self._stream.drain())

    def unpack(self, take: Take) -> None:
        """Hand out the one file."""
        take(Entry(self._name, "file", None), cast(IO[bytes], self._stream))
