"""Reads a JSON object one of whose members is a file in base64, without holding the file in memory.

The file's characters are decoded as they arrive; the rest of the object is small, is kept, and is
parsed as ordinary JSON in the end. So a request of 70 MB costs no more memory than one of 7 kB.
"""

import base64
import binascii
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

import orjson

from infrastructure.http.problems import Problem

REST_BYTES_MAX = 64 * 1024
FILE_MEMBER = "file_data"

_WHITE_SPACE = b" \t\r\n"
_QUOTE, _BACKSLASH, _COLON = ord('"'), ord("\\"), ord(":")
# What may be escaped in a JSON string and can stand in base64: a slash, and line breaks.
_ESCAPES = ((b"\\/", b"/"), (b"\\n", b""), (b"\\r", b""))


class _State(Enum):
    BETWEEN = auto()
    STRING = auto()
    FILE = auto()


def bad_base64() -> Problem:
    """The refusal of a file that is not base64."""
    details = [{"field": FILE_MEMBER, "message": "This is not base64.", "code": "base64"}]
    return Problem(422, "INVALID_BASE64", "The file's base64 cannot be read.", details=details)


def bad_json() -> Problem:
    """The refusal of a body that is not a JSON object."""
    return Problem(400, "BAD_JSON", "The body is not the JSON object that was expected.")


class Base64Reader:
    """Splits the body: bytes of the file out of `feed`, everything else out of `finish`."""

    def __init__(self) -> None:
        self._state = _State.BETWEEN
        self._depth = 0
        self._rest = bytearray()
        self._string_at = 0
        self._is_escaped = False
        self._is_key = False
        self._escape = b""
        self._pending = b""
        self._is_padded = False
        self._seen = False

    @property
    def has_file(self) -> bool:
        """Whether the file's member has begun."""
        return self._seen

    def feed(self, chunk: bytes) -> bytes:
        """The bytes of the file that this chunk completes; raises Problem."""
        decoded = bytearray()
        at = 0
        while at < len(chunk):
            if self._state is _State.FILE:
                at = self._file(chunk, at, decoded)
            elif self._state is _State.STRING:
                at = self._string(chunk, at)
            else:
                at = self._between(chunk, at)
            if len(self._rest) > REST_BYTES_MAX:
                raise bad_json()
        return bytes(decoded)

    def finish(self) -> Mapping[str, Any]:
        """The object without the file; raises Problem."""
        if self._state is not _State.BETWEEN:
            raise bad_json()
        try:
            members = orjson.loads(self._rest)
        except ValueError:
            raise bad_json() from None
        if not isinstance(members, dict):
            raise bad_json()
        return {name: value for name, value in members.items() if name != FILE_MEMBER}

    def _between(self, chunk: bytes, at: int) -> int:
        byte = chunk[at]
        self._rest.append(byte)
        if byte == _QUOTE:
            if self._depth == 1 and self._is_key:
                # The value of the file's member: its opening quote is kept, its characters not.
                self._begin_file()
            else:
                self._state, self._string_at = _State.STRING, len(self._rest) - 1
        elif byte == _COLON:
            self._is_key = self._is_key and self._depth == 1
        elif byte in b"{[":
            self._depth, self._is_key = self._depth + 1, False
        elif byte in b"}]":
            self._depth, self._is_key = self._depth - 1, False
        elif byte not in _WHITE_SPACE:
            self._is_key = False
        return at + 1

    def _string(self, chunk: bytes, at: int) -> int:
        if self._is_escaped:
            self._is_escaped = False
            self._rest.append(chunk[at])
            return at + 1
        end = _first(chunk, at)
        self._rest += chunk[at:end]
        if end == len(chunk):
            return end
        self._rest.append(chunk[end])
        if chunk[end] == _BACKSLASH:
            self._is_escaped = True
        else:
            self._state = _State.BETWEEN
            self._is_key = self._depth == 1 and self._names_file()
        return end + 1

    def _names_file(self) -> bool:
        try:
            return bool(orjson.loads(self._rest[self._string_at :]) == FILE_MEMBER)
        except ValueError:
            raise bad_json() from None

    def _begin_file(self) -> None:
        if self._seen:
            raise bad_json()
        self._seen, self._is_key, self._state = True, False, _State.FILE

    def _file(self, chunk: bytes, at: int, decoded: bytearray) -> int:
        quote = chunk.find(b'"', at)
        end = len(chunk) if quote < 0 else quote
        characters = self._escape + chunk[at:end]
        self._escape = b""
        if quote < 0 and characters.endswith(b"\\"):
            # An escape that the next chunk completes.
            characters, self._escape = characters[:-1], b"\\"
        decoded += self._decode(_unescaped(characters))
        if quote < 0:
            return end
        if self._pending:
            raise bad_base64()
        self._rest.append(_QUOTE)
        self._state = _State.BETWEEN
        return end + 1

    def _decode(self, characters: bytes) -> bytes:
        if not characters:
            return b""
        if self._is_padded:
            raise bad_base64()
        whole = self._pending + characters
        usable = len(whole) - len(whole) % 4
        self._pending = whole[usable:]
        self._is_padded = whole[:usable].endswith(b"=")
        try:
            return base64.b64decode(whole[:usable], validate=True)
        except binascii.Error:
            raise bad_base64() from None


def _unescaped(characters: bytes) -> bytes:
    if b"\\" in characters:
        for escape, meant in _ESCAPES:
            characters = characters.replace(escape, meant)
        if b"\\" in characters:
            raise bad_base64()
    return characters


def _first(chunk: bytes, at: int) -> int:
    """Where the next quote or backslash stands; the chunk's length if there is none."""
    quote = chunk.find(b'"', at)
    end = len(chunk) if quote < 0 else quote
    backslash = chunk.find(b"\\", at, end)
    return end if backslash < 0 else backslash
