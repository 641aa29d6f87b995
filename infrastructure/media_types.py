"""Says what a file is by its first bytes, never by its name.

libmagic decides; for what it only calls text, four rules look closer, in this order:
- JSON: one whole JSON object or array, or, where the file goes on, a start that is one when what
  it has opened is closed;
- NDJSON: two lines or more, each a JSON object or array;
- TSV and CSV: two lines or more that all have the same number of fields, at least two, for a tab,
  comma, semicolon or bar as the separator, quoted fields minded;
- otherwise the text stays what libmagic called it.
A guess about text is only that: whoever opens the file parses it and decides.
"""

import csv
import ctypes
import importlib.util
import re
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import orjson

SNIFF_BYTES = 8_192
UNKNOWN = "application/octet-stream"
TEXT = "text/plain"
JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
TSV = "text/tab-separated-values"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"

LINES_LOOKED_AT_MAX = 50

# What different versions of libmagic call the same thing.
_ALIASES = {
    "application/csv": CSV,
    "application/ndjson": NDJSON,
    "application/x-empty": UNKNOWN,
    "inode/x-empty": UNKNOWN,
    "image/x-ms-bmp": "image/bmp",
    "image/x-icon": "image/vnd.microsoft.icon",
    "audio/x-wav": "audio/wav",
    "application/x-gzip": "application/gzip",
    "text/xml": "application/xml",
}
_GUESSED = frozenset({TEXT, JSON, NDJSON, CSV})
_SEPARATORS = (("\t", TSV), (",", CSV), (";", CSV), ("|", CSV))
_RECORDINGS = ((b"caff", "audio/x-caf"), (b"wvpk", "audio/x-wavpack"))
_MPEG_TS_STEP, _MPEG_TS_PACKETS = 188, 3
_OFFICE = ((b"xl/", XLSX), (b"word/", DOCX), (b"ppt/", PPTX))
_STRING = r'"(?:[^"\\\x00-\x1f]|\\.)*(?:"|\\?\Z)'
_SIMPLE = r"-?[0-9][0-9.eE+-]*|-|[a-z]{0,5}"
_JSON_TOKEN = re.compile(rf"{_STRING}|[\[\]{{}},]")
_CUT_VALUE = re.compile(rf"\s*(?:{_STRING}\s*(?::\s*(?:{_STRING}|{_SIMPLE}))?|{_SIMPLE})\s*\Z")


class LibmagicMissing(Exception):
    """libmagic is neither on this system nor in the environment (the wheel pylibmagic)."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class _Magic(Protocol):
    def from_buffer(self, buffer: bytes) -> str: ...


class MediaTypes:
    """Tells media types; loading libmagic's database takes some tens of milliseconds, once."""

    def __init__(self) -> None:
        self._magic = _load_magic()
        # The first text makes libmagic compile its patterns; no request should wait for that.
        self.of(b"a,b\n1,2\n")

    def of(self, head: bytes) -> str:
        """The media type of a file that begins with `head`, at most SNIFF_BYTES of which count."""
        head = head[:SNIFF_BYTES]
        try:
            found = self._magic.from_buffer(head)
        except Exception:  # libmagic gives up on some broken files by raising its own error
            return UNKNOWN
        found = _ALIASES.get(found, found)
        if found == "application/zip" or (found == UNKNOWN and head.startswith(b"PK\x03\x04")):
            return _office(head)
        if found == UNKNOWN:
            return _recording(head)
        return _text(head) if found in _GUESSED else found


def _load_magic() -> _Magic:
    database = _database()
    import magic

    loaded: _Magic = magic.Magic(mime=True, magic_file=database)
    return loaded


@lru_cache(maxsize=1)
def _database() -> str | None:
    """Make `import magic` work, and say which database goes with it: None is the system's."""
    try:
        import magic  # noqa: F401
    except ImportError:
        spec = importlib.util.find_spec("pylibmagic")
        if spec is None or spec.origin is None:
            raise LibmagicMissing from None
        folder = Path(spec.origin).parent
        # Not imported: the wheel would replace ctypes.CDLL for the whole process. A library that
        # is loaded already is found by its name.
        ctypes.CDLL(str(folder / "libmagic.so.1"))
        return str(folder / "magic.mgc")
    return None


def _recording(head: bytes) -> str:
    """Formats of sound and film that libmagic does not know."""
    for mark, media_type in _RECORDINGS:
        if head.startswith(mark):
            return media_type
    starts = head[: _MPEG_TS_STEP * _MPEG_TS_PACKETS : _MPEG_TS_STEP]
    return "video/mp2t" if starts == b"G" * _MPEG_TS_PACKETS else UNKNOWN


def _office(head: bytes) -> str:
    if b"[Content_Types].xml" in head or b"_rels/" in head:
        for folder, media_type in _OFFICE:
            if folder in head:
                return media_type
    return "application/zip"


def _text(head: bytes) -> str:
    text, is_whole = _decoded(head), len(head) < SNIFF_BYTES
    if _is_json(text, is_whole):
        return JSON
    lines = text.splitlines()
    if not is_whole:
        # The last line may be cut anywhere.
        lines = lines[:-1]
    lines = [line for line in lines if line.strip()][:LINES_LOOKED_AT_MAX]
    if len(lines) < 2:
        return TEXT
    if all(_parses(line) for line in lines):
        return NDJSON
    for separator, media_type in _SEPARATORS:
        if _is_table(lines, separator):
            return media_type
    return TEXT


def _decoded(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "ignore")
    return head.decode("utf-8-sig", "replace")


def _is_json(text: str, is_whole: bool) -> bool:
    if is_whole:
        return _parses(text)
    return _begins_json(text)


def _begins_json(text: str) -> bool:
    """Whether a text that goes on is one object or array as far as it goes.

    A letter or a wiki page may begin with brackets too: what is whole of the text is closed and
    parsed, and what was cut has to be the beginning of a value.
    """
    if not text.lstrip().startswith(("{", "[")):
        return False
    closers, whole, missing = "", 0, ""
    for token in _JSON_TOKEN.finditer(text):
        match token[0]:
            case "{" | "[" as opening:
                closers = ("}" if opening == "{" else "]") + closers
            case "}" | "]" as closing:
                if not closers.startswith(closing):
                    return False
                closers = closers[1:]
            case ",":
                whole, missing = token.start(), closers
                continue
            case _:
                continue
        if not closers and text[token.end() :].strip():
            return False
        whole, missing = token.end(), closers
    rest = text[whole:].lstrip().removeprefix(",")
    return _CUT_VALUE.match(rest) is not None and _parses(text[:whole] + missing)


def _parses(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _is_table(lines: list[str], separator: str) -> bool:
    try:
        rows = list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error:
        # A quoted field may go on beyond what we look at; the rows before it must do.
        return False
    widths = {len(row) for row in rows}
    return len(rows) >= 2 and len(widths) == 1 and widths.pop() >= 2
