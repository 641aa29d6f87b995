"""What a file is, by its content alone."""

import gzip
import io
import json
import subprocess
import sys
import zipfile

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from infrastructure.media_types import SNIFF_BYTES, MediaTypes


@pytest.fixture(scope="module")
def media_types() -> MediaTypes:
    return MediaTypes()


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, kind)
    return out.getvalue()


def workbook() -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.add_worksheet().write(0, 0, "x")
    return out.getvalue()


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("notes/a.txt", "x")
    return out.getvalue()


SAMPLES = [
    (picture("JPEG"), "image/jpeg"),
    (picture("PNG"), "image/png"),
    (picture("WEBP"), "image/webp"),
    (picture("GIF"), "image/gif"),
    (picture("BMP"), "image/bmp"),
    (picture("TIFF"), "image/tiff"),
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"),
    (b"junk" * 25 + b"%PDF-1.7\n", "application/pdf"),
    (workbook(), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (archive(), "application/zip"),
    (gzip.compress(b"x"), "application/gzip"),
    (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "image/svg+xml"),
    (b"<!DOCTYPE html><html><script>1</script></html>", "text/html"),
    (b"Only words.\nAnd more of them, here.\n", "text/plain"),
    (b"hello", "text/plain"),
    (b"one, two\n", "text/plain"),
    (b"a,b\n1,2\n", "text/csv"),
    (b"a,b\r\n1,2", "text/csv"),
    (b"\xef\xbb\xbfa,b\n1,2\n", "text/csv"),
    ("a,b\n1,2\n".encode("utf-16"), "text/csv"),
    ("name;größe\nä;1\n".encode("latin-1"), "text/csv"),
    (b'a,b\n"x, y",2\n"z",3\n', "text/csv"),
    (b"a|b|c\n1|2|3\n", "text/csv"),
    (b"a\tb\n1\t2\n", "text/tab-separated-values"),
    (b"a,b,c\n" + b"1,2,3\n" * 5_000, "text/csv"),
    (b'{"a": 1}', "application/json"),
    (b' [1, 2, {"a": null}] ', "application/json"),
    (b"[" + b'{"a": 1},\n' * 5_000, "application/json"),
    (b'{\n "a": [' + b'{"b": "c, d"},\n' * 5_000, "application/json"),
    (b'{"a": 1}\n{"a": 2}\n', "application/x-ndjson"),
    (b'{"a": 1}\n' * 5_000, "application/x-ndjson"),
    (b"{not json}\n", "text/plain"),
    (b"[[Home]] is where it begins.\n" + b"And it goes on, and on.\n" * 500, "text/plain"),
    (b"[[a, b]\n" + b"[c](https://example.org) [[d]] \n" * 500, "text/plain"),
    (b'["Yes", she said, "and no"]\n' + b"words \n" * 2_000, "text/plain"),
    (b'{"a": 1} and more.\n' + b"words \n" * 2_000, "text/plain"),
    (b"[[" + b"1, " * 5_000, "application/json"),
    (b'["' + b"a, [b] {c " * 2_000 + b'"]', "application/json"),
    (b'{"a": "' + b'\\"' * 5_000, "application/json"),
    (b'{"a": {"b": [true, ' + b"false, " * 2_000, "application/json"),
    ((b"G" + bytes(187)) * 3, "video/mp2t"),
    ((b"G" + bytes(187)) * 2, "application/octet-stream"),
    (b"caff\x00\x01\x00\x00desc" + bytes(32), "audio/x-caf"),
    (b"wvpk" + bytes(range(28)), "audio/x-wavpack"),
    (b"\x00\x01\x02\x03" * 100, "application/octet-stream"),
    (b"", "application/octet-stream"),
]


@pytest.mark.parametrize(("content", "media_type"), SAMPLES, ids=range(len(SAMPLES)))
def test_content_decides(media_types: MediaTypes, content: bytes, media_type: str) -> None:
    assert media_types.of(content) == media_type
    assert media_types.of(content[:SNIFF_BYTES]) == media_type


@given(st.binary(max_size=2_000))
def test_any_bytes_have_a_type(content: bytes) -> None:
    found = _shared().of(content)

    assert found.count("/") == 1
    assert found.isascii()


@given(st.text(max_size=2_000))
def test_any_text_has_a_type(text: str) -> None:
    assert _shared().of(text.encode(errors="replace")).count("/") == 1


# What libmagic calls text at all.
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=50)
@given(st.lists(VALUES, min_size=1), st.integers(0, 30), st.sampled_from([None, 2]))
def test_json_is_json_wherever_it_is_cut(
    values: list[object], blanks: int, indent: int | None
) -> None:
    times = SNIFF_BYTES // len(json.dumps(values)) + 1
    text = json.dumps(values * times, indent=indent)

    assert _shared().of(b" " * blanks + text.encode()) == "application/json"


def _shared() -> MediaTypes:
    if not _made:
        _made.append(MediaTypes())
    return _made[0]


_made: list[MediaTypes] = []

# Makes the system's libmagic impossible to find and to open, as on a system that has none; the
# library of the wheel is opened by its path.
HIDE_THE_SYSTEMS_LIBMAGIC = """
import ctypes, ctypes.util
opened = []
real_init, real_find = ctypes.CDLL.__init__, ctypes.util.find_library
def init(self, name, *rest, **options):
    from_wheel = any("pylibmagic" in path for path in opened)
    if name and "magic" in name and "pylibmagic" not in name and not from_wheel:
        raise OSError(f"{name}: cannot open shared object file")
    opened.append(str(name))
    real_init(self, name, *rest, **options)
ctypes.CDLL.__init__ = init
ctypes.util.find_library = lambda name: None if name == "magic" else real_find(name)
"""

TELL = """
from infrastructure.media_types import MediaTypes
import os, sys
print(MediaTypes().of(b"%PDF-1.7 x"), MediaTypes().of(b"a,b\\n1,2\\n"))
print(sum("pylibmagic" in line for line in open("/proc/self/maps")) > 0)
print(sum("libmagic.so" in l and "pylibmagic" not in l for l in open("/proc/self/maps")) > 0)
print("MAGIC" in os.environ, "pylibmagic" in sys.modules)
"""


def run(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_where_the_system_has_no_libmagic_the_wheels_is_used() -> None:
    types, from_wheel, from_system, leaks = run(HIDE_THE_SYSTEMS_LIBMAGIC + TELL)

    assert types == "application/pdf text/csv"
    assert (from_wheel, from_system) == ("True", "False")
    # The wheel's own import would change the environment and ctypes for the whole process.
    assert leaks == "False False"


def test_without_any_libmagic_the_reason_is_said() -> None:
    hide_the_wheel = """
import importlib.util
real_spec = importlib.util.find_spec
importlib.util.find_spec = lambda n, *r: None if n == "pylibmagic" else real_spec(n, *r)
from infrastructure.media_types import LibmagicMissing, MediaTypes
try:
    MediaTypes()
except LibmagicMissing as error:
    print(error)
"""

    assert "pylibmagic" in run(HIDE_THE_SYSTEMS_LIBMAGIC + hide_the_wheel)[0]
