"""Writes archives; what would differ from run to run, such as times, is left out."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from pydantic import SecretStr

from processors.tools.base import MIB, InputFile, ToolInput
from processors.tools.extras import needed

BLOCK_BYTES = MIB
MODE = 0o644
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def write(
    path: Path,
    input_data: ToolInput,
    names: list[str],
    target: str,
    level: int,
    password: SecretStr | None,
) -> None:
    """Pack the input files under other names."""
    secret = password.get_secret_value() if password else None
    files = list(zip(names, _told(input_data), strict=True))
    match target:
        case "zip" if secret:
            _write_encrypted_zip(path, files, level, secret)
        case "zip":
            _write_zip(path, files, level)
        case "7z":
            _write_7z(path, files, level, secret)
        case _:
            with _compressed(path, target, level) as stream:
                _write_tar(stream, files)


def _told(input_data: ToolInput) -> Iterator[InputFile]:
    for number, file in enumerate(input_data.files, 1):
        yield file
        input_data.progress(number / len(input_data.files), f"{number} files")


def _write_zip(path: Path, files: list[tuple[str, InputFile]], level: int) -> None:
    with zipfile.ZipFile(path, "w", compresslevel=level) as archive:
        for name, file in files:
            info = zipfile.ZipInfo(name, ZIP_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = MODE << 16
            with file.path.open("rb") as source, archive.open(info, "w") as target:
                while block := source.read(BLOCK_BYTES):
                    target.write(block)


def _write_encrypted_zip(
    path: Path, files: list[tuple[str, InputFile]], level: int, password: str
) -> None:
    needed("pyzipper", "archive", "ZIP archives with a password", field="password")
    import pyzipper

    with pyzipper.AESZipFile(
        path, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=level, encryption=pyzipper.WZ_AES
    ) as archive:
        archive.setpassword(password.encode())
        for name, file in files:
            info = pyzipper.zipfile_aes.AESZipInfo(name, ZIP_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = MODE << 16
            archive.writestr(info, file.path.read_bytes())


def _write_7z(
    path: Path, files: list[tuple[str, InputFile]], level: int, password: str | None
) -> None:
    needed("py7zr", "archive", "7z archives", field="output_format")
    import py7zr

    filters = [{"id": py7zr.FILTER_LZMA2, "preset": level}]
    if password:
        filters.append({"id": py7zr.FILTER_CRYPTO_AES256_SHA256})
    with py7zr.SevenZipFile(
        path, "w", filters=filters, password=password, header_encryption=bool(password)
    ) as archive:
        for name, file in files:
            with file.path.open("rb") as source:
                archive.writef(source, name)


def _write_tar(stream: IO[bytes], files: list[tuple[str, InputFile]]) -> None:
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name, file in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = file.size_bytes, MODE
            with file.path.open("rb") as source:
                archive.addfile(info, source)


@contextmanager
def _compressed(path: Path, target: str, level: int) -> Iterator[IO[bytes]]:
    with path.open("wb") as raw:
        stream: IO[bytes]
        match target:
            case "tar.gz":
                # Neither the name nor the time that gzip would note.
                stream = cast(IO[bytes], gzip.GzipFile("", "wb", level, raw, mtime=0))
            case "tar.bz2":
                stream = bz2.BZ2File(raw, "wb", compresslevel=level)
            case "tar.xz":
                stream = lzma.LZMAFile(raw, "wb", preset=level)  # noqa: SIM115
            case "tar.zst":
                stream = _zstd(raw, level)
            case _:
                stream = raw
        with stream:
            yield stream


def _zstd(raw: IO[bytes], level: int) -> IO[bytes]:
    needed("backports.zstd", "archive", "tar.zst archives", field="output_format")
    from backports import zstd

    # Its levels go to 22; ours to 9 are spread over those that keep memory low.
    return cast(IO[bytes], zstd.ZstdFile(raw, "wb", level=2 * level))
