"""The tools for archives: what they make, what they take out, and what they refuse."""

import gzip
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import py7zr
import pytest
import pyzipper

from processors.tools import archive_extractor, archives
from processors.tools.archive_creator import KINDS
from tests.factories import files
from tests.unit.processors.tools.readers import needs, told
from tests.unit.processors.tools.workbench import Given, Made, made, made_all, refused

CONTENTS = {"a.txt": b"Alpha\n" * 100, "deep/b.csv": b"x,y\n1,2\n", "c.bin": bytes(range(256))}
FORMATS = list(KINDS)
PASSWORD = "correct horse"
NEEDS_7Z = needs("7z", "p7zip-full")


def archive(content: bytes, filename: str = "things.zip") -> Given:
    return Given(content, filename, "application/octet-stream")


def zipped(contents: dict[str, bytes] = CONTENTS, **options: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, **options) as target:
        for name, content in contents.items():
            target.writestr(name, content)
    return stream.getvalue()


def tarred(contents: dict[str, bytes] = CONTENTS, mode: Any = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as target:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def seven(contents: dict[str, bytes] = CONTENTS, **options: Any) -> bytes:
    stream = io.BytesIO()
    with py7zr.SevenZipFile(stream, "w", **options) as target:
        for name, content in contents.items():
            target.writestr(content, name)
    return stream.getvalue()


def tar_entry(kind: bytes, name: str = "x", link: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as target:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        target.addfile(info)
    return stream.getvalue()


def zip_link(target: str = "/etc/passwd") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as book:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        book.writestr(info, target)
    return stream.getvalue()


def overlapping_zip(copies: int = 50) -> bytes:
    """Entries that all point at the same packed bytes, as the better zip bomb has them."""
    whole = zipped({"kernel": bytes(100_000)})
    start = whole.index(b"PK\x01\x02")
    end = whole.index(b"PK\x05\x06")
    directory = whole[start:end] * copies
    tail = bytearray(whole[end:])
    tail[8:10] = tail[10:12] = copies.to_bytes(2, "little")
    tail[12:16] = len(directory).to_bytes(4, "little")
    return whole[:start] + directory + bytes(tail)


SOURCES: dict[str, Callable[[], bytes]] = {
    "zip": zipped,
    "7z": seven,
    "tar": tarred,
    "tar.gz": lambda: tarred(mode="w:gz"),
    "tar.bz2": lambda: tarred(mode="w:bz2"),
    "tar.xz": lambda: tarred(mode="w:xz"),
}


@pytest.mark.parametrize("source", list(SOURCES))
async def test_every_kind_is_unpacked(source: str) -> None:
    outputs = await made_all("archive-extractor", archive(SOURCES[source]()))

    assert {output.name: output.content for output in outputs} == {
        "a.txt": CONTENTS["a.txt"],
        "deep_b.csv": CONTENTS["deep/b.csv"],
        "c.bin": CONTENTS["c.bin"],
    }
    assert [output.media_type for output in outputs] == [
        *("text/plain", "text/csv", "application/octet-stream"),
    ]
    assert outputs[0].notes == ("Files whose folder or name had to change: 1.",)


@pytest.mark.parametrize("source", list(SOURCES))
async def test_every_kind_is_listed(source: str) -> None:
    listed = json.loads((await made("archive-lister", archive(SOURCES[source]()))).text)

    assert [(each["name"], each["kind"], each["size_bytes"]) for each in listed["entries"]] == [
        (name, "file", len(content)) for name, content in CONTENTS.items()
    ]


@pytest.mark.parametrize("target", FORMATS)
async def test_what_was_packed_comes_out_again(target: str) -> None:
    given = [Given(content, name) for name, content in CONTENTS.items()]

    packed = await made("archive-creator", *given, output_format=target)

    assert packed.name == f"archive.{target}"
    outputs = await made_all("archive-extractor", archive(packed.content))
    assert [output.content for output in outputs] == list(CONTENTS.values())
    if target != "7z":
        assert packed == await made("archive-creator", *given, output_format=target)


@NEEDS_7Z
@pytest.mark.parametrize("target", [target for target in FORMATS if target != "tar.zst"])
async def test_an_archive_is_sound_for_7_zip(target: str, tmp_path: Path) -> None:
    packed = await made("archive-creator", Given(b"hello", "a.txt"), output_format=target)

    run_7z(packed, tmp_path)


@needs("zstd", "zstd")
async def test_a_tar_of_zstd_is_one_for_tar() -> None:
    given = Given(b"hello", "a.txt")

    packed = await made("archive-creator", given, output_format="tar.zst")

    assert told(["tar", "--zstd", "--list", "--file", "{}"], packed.content) == b"a.txt\n"
    unpacked = told(["tar", "--zstd", "--extract", "--to-stdout", "--file", "{}"], packed.content)
    assert unpacked == b"hello"


@NEEDS_7Z
@pytest.mark.parametrize("target", ["zip", "7z"])
async def test_an_encrypted_archive_opens_with_its_password_only(
    target: str, tmp_path: Path
) -> None:
    given = Given(b"secret" * 100, "a.txt")

    packed = await made("archive-creator", given, output_format=target, password=PASSWORD)

    run_7z(packed, tmp_path, f"-p{PASSWORD}")
    assert b"secret" not in packed.content
    file = archive(packed.content)
    assert (await refused("archive-extractor", file)).code == "PASSWORD_REQUIRED"
    assert (await refused("archive-extractor", file, password="wrong")).code == "WRONG_PASSWORD"
    (output,) = await made_all("archive-extractor", file, password=PASSWORD)
    assert output.content == given.content
    unscanned = (
        "Files that were encrypted, so that no virus scanner saw them when they were sent: 1."
    )
    assert output.notes == (unscanned,)


def run_7z(packed: Made, folder: Path, *options: str) -> None:
    """Test an archive with a program that did not make it."""
    path = folder / packed.name
    path.write_bytes(packed.content)
    result = subprocess.run(["7z", "t", *options, path], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def called(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True)


async def test_a_zip_with_the_old_encryption_is_unpacked(tmp_path: Path) -> None:
    if shutil.which("zip") is None:
        pytest.skip("zip is not there")
    (tmp_path / "a.txt").write_bytes(b"x" * 1_000)
    called(["zip", "-q", "-P", PASSWORD, "a.zip", "a.txt"], tmp_path)
    file = archive((tmp_path / "a.zip").read_bytes())

    (output,) = await made_all("archive-extractor", file, password=PASSWORD)

    assert output.content == b"x" * 1_000
    assert (await refused("archive-extractor", file)).code == "PASSWORD_REQUIRED"
    assert (await refused("archive-extractor", file, password="no")).code == "WRONG_PASSWORD"


async def test_a_tar_cannot_be_encrypted() -> None:
    error = await refused("archive-creator", Given(b"x"), output_format="tar", password="x")

    assert (error.code, error.field) == ("INVALID_OPTIONS", "password")


async def test_files_of_one_name_get_different_ones() -> None:
    given = [Given(b"1", "a.txt"), Given(b"2", "A.TXT"), Given(b"3", "../a.txt")]

    packed = await made("archive-creator", *given)

    with zipfile.ZipFile(io.BytesIO(packed.content)) as reader:
        assert reader.namelist() == ["a.txt", "A (2).TXT", "a (3).txt"]
    assert packed.notes == ("Files whose name had to change: 2.",)


@pytest.mark.filterwarnings("ignore:Duplicate name")
async def test_names_that_clash_in_an_archive_are_told_apart() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for name in ("a.txt", "A.txt", "a.txt", "x/a.txt", "x_a.txt"):
            target.writestr(name, name)

    outputs = await made_all("archive-extractor", archive(stream.getvalue()))

    assert [output.name for output in outputs] == [
        *("a.txt", "A (2).txt", "a (3).txt", "x_a.txt", "x_a (2).txt"),
    ]


@pytest.mark.parametrize(("name", "flag"), [("Übung.txt", True), ("Übung.txt", False)])
async def test_names_in_utf_8_are_read_even_where_a_zip_does_not_say_so(
    name: str, flag: bool
) -> None:
    content = bytearray(zipped({name: b"x"}))
    if not flag:
        for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = content.index(mark) + offset
            content[place : place + 2] = b"\0\0"

    (output,) = await made_all("archive-extractor", archive(bytes(content)))

    assert output.name == name


async def test_a_name_in_the_old_encoding_of_a_zip_is_read() -> None:
    content = zipped({"xber.txt": b"x"}).replace(b"xber.txt", b"\x81ber.txt")

    (output,) = await made_all("archive-extractor", archive(content))

    assert output.name == "über.txt"


async def test_an_archive_within_an_archive_stays_shut() -> None:
    content = b"x"
    for depth in range(15):
        content = zipped({f"{depth}.zip": content})

    (output,) = await made_all("archive-extractor", archive(content))

    assert output.name == "14.zip"
    assert zipfile.ZipFile(io.BytesIO(output.content)).namelist() == ["13.zip"]


async def test_a_compressed_file_that_is_no_archive_comes_out_by_itself() -> None:
    output = await made("archive-extractor", archive(gzip.compress(b"hello"), "notes.txt.gz"))

    assert (output.name, output.content) == ("notes.txt", b"hello")
    assert output.media_type == "text/plain"


async def test_a_pattern_takes_some_of_the_files() -> None:
    outputs = await made_all("archive-extractor", archive(zipped()), pattern="deep/*")

    assert [output.name for output in outputs] == ["deep_b.csv"]
    nothing = await refused("archive-extractor", archive(zipped()), pattern="*.exe")
    assert nothing.code == "EMPTY_ARCHIVE"


async def test_empty_files_are_left_out_aloud() -> None:
    outputs = await made_all("archive-extractor", archive(zipped({"a.txt": b"x", "b.txt": b""})))

    assert [output.name for output in outputs] == ["a.txt"]
    assert outputs[0].notes == ("Files that are empty and were left out: 1.",)


async def test_a_script_from_an_archive_is_only_bytes() -> None:
    (output,) = await made_all("archive-extractor", archive(zipped({"a.html": b"<script>"})))

    assert output.media_type == "application/octet-stream"


UNSAFE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a zip that climbs out": ("UNSAFE_PATH", lambda: zipped({"../../evil": b"x"})),
    "a zip that climbs out by backslashes": ("UNSAFE_PATH", lambda: zipped({"..\\evil": b"x"})),
    "a zip with an absolute path": ("UNSAFE_PATH", lambda: zipped({"/etc/evil": b"x"})),
    "a zip with a drive": ("UNSAFE_PATH", lambda: zipped({"C:\\evil": b"x"})),
    "a zip with a NUL in a name": (
        "UNSAFE_PATH",
        lambda: zipped({"a!b.txt": b"x"}).replace(b"a!b.txt", b"a\0b.txt"),
    ),
    "a zip with a link": ("UNSAFE_PATH", zip_link),
    "a tar that climbs out": ("UNSAFE_PATH", lambda: tarred({"../evil": b"x"})),
    "a tar with an absolute path": ("UNSAFE_PATH", lambda: tarred({"/etc/evil": b"x"})),
    "a tar with a link": ("UNSAFE_PATH", lambda: tar_entry(tarfile.SYMTYPE, link="/etc/passwd")),
    "a tar with a hard link": ("UNSAFE_PATH", lambda: tar_entry(tarfile.LNKTYPE, link="x")),
    "a tar with a device": ("UNSAFE_PATH", lambda: tar_entry(tarfile.CHRTYPE)),
    "a tar with a pipe": ("UNSAFE_PATH", lambda: tar_entry(tarfile.FIFOTYPE)),
    "a zip of one flat file": ("ARCHIVE_BOMB", lambda: zipped({"zeros": bytes(40 * 1024**2)})),
    "a gzip of zeros": ("ARCHIVE_BOMB", lambda: gzip.compress(bytes(40 * 1024**2))),
    "a 7z of zeros": ("ARCHIVE_BOMB", lambda: seven({"zeros": bytes(40 * 1024**2)})),
    "a zip whose entries overlap": ("ARCHIVE_BOMB", overlapping_zip),
    "a zip of many entries": (
        "TOO_MANY_ENTRIES",
        lambda: zipped({str(number): b"" for number in range(5_001)}),
    ),
    "a zip cut short": ("CORRUPT_FILE", lambda: files.truncated(zipped())),
    "a gzip cut short": ("CORRUPT_FILE", lambda: files.truncated(gzip.compress(b"x" * 999))),
    "a tar cut short": ("CORRUPT_FILE", lambda: tarred()[:700]),
    "a 7z cut short": ("CORRUPT_FILE", lambda: files.truncated(seven())),
    "an empty zip": ("EMPTY_ARCHIVE", lambda: zipped({})),
    "a picture": ("UNSUPPORTED_MEDIA_TYPE", files.rgba_png),
    "nothing": ("EMPTY_FILE", bytes),
}


@pytest.mark.parametrize("bad", list(UNSAFE))
async def test_a_bad_archive_is_refused_by_its_code(bad: str) -> None:
    code, content = UNSAFE[bad]

    assert (await refused("archive-extractor", archive(content()))).code == code


async def test_damage_in_the_middle_is_not_taken_for_the_end() -> None:
    content = bytearray(tarred({"a": b"x", "b": b"y"}))
    content[1024 + 200] ^= 0xFF

    assert (await refused("archive-extractor", archive(bytes(content)))).code == "CORRUPT_FILE"


async def test_damage_in_the_bytes_is_found() -> None:
    content = zipped({"a": b"x" * 10}, compresslevel=0).replace(b"x" * 10, b"x" * 9 + b"y")

    assert (await refused("archive-extractor", archive(content))).code == "CORRUPT_FILE"


async def test_the_bytes_of_a_sparse_tar_are_counted_as_they_come_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(archives, "RATIO_FREE_BYTES", 100_000)
    with (tmp_path / "hole").open("wb") as stream:
        stream.truncate(20 * 1024**2)
    called(["tar", "--sparse", "-cf", "sparse.tar", "hole"], tmp_path)

    error = await refused("archive-extractor", archive((tmp_path / "sparse.tar").read_bytes()))

    assert error.code == "ARCHIVE_BOMB"


async def test_more_files_than_a_job_may_make_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive_extractor, "OUTPUTS_MAX", 2)

    assert (await refused("archive-extractor", archive(zipped()))).code == "TOO_MANY_ENTRIES"


async def test_a_list_says_what_is_dangerous_instead_of_refusing_it() -> None:
    content = zipped({"../evil": b"x", "fine": b"y", "=1+1": b"z"})

    as_json = await made("archive-lister", archive(content))
    as_csv = await made("archive-lister", archive(content), output_format="csv")
    as_text = await made("archive-lister", archive(content), output_format="text")

    assert [each["danger"] for each in json.loads(as_json.text)["entries"]] == [
        *("its path leads outside", None, None),
    ]
    assert as_json.notes == ("Entries that may not be unpacked: 1.",)
    assert "\n'=1+1," in as_csv.text.replace("\r", "")
    assert "(its path leads outside)" in as_text.text
    assert "3 entries" in as_text.text


async def test_a_list_needs_the_password_only_where_the_names_are_hidden() -> None:
    hidden = seven(password=PASSWORD, header_encryption=True)
    open_names = seven(password=PASSWORD)

    listed = json.loads((await made("archive-lister", archive(open_names))).text)["entries"]
    assert all(each["encrypted"] for each in listed)
    assert (await refused("archive-lister", archive(hidden))).code == "PASSWORD_REQUIRED"
    wrong = await refused("archive-lister", archive(hidden), password="wrong")
    assert wrong.code == "WRONG_PASSWORD"
    assert (await made("archive-lister", archive(hidden), password=PASSWORD)).content


async def test_a_zip_that_another_program_encrypted_with_aes_is_unpacked() -> None:
    stream = io.BytesIO()
    with pyzipper.AESZipFile(stream, "w", encryption=pyzipper.WZ_AES) as target:
        target.setpassword(PASSWORD.encode())
        target.writestr("a.txt", b"hello")

    (output,) = await made_all("archive-extractor", archive(stream.getvalue()), password=PASSWORD)

    assert output.content == b"hello"
