"""Reads multipart/form-data as it arrives: part by part, without holding a part in memory.

Bounds the number of parts and the size of their headers. What a part means is for the caller.
"""

from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from infrastructure.http.problems import Problem

PARTS_MAX = 1_100
PART_HEADERS_MAX = 8
PART_HEADER_BYTES_MAX = 16_384
NAME_BYTES_MAX = 200


@dataclass(frozen=True, slots=True)
class PartBegan:
    """A part's headers are complete."""

    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class PartBytes:
    """More of the current part."""

    content: bytes


@dataclass(frozen=True, slots=True)
class PartEnded:
    """The current part is complete."""


Event = PartBegan | PartBytes | PartEnded


def bad_multipart(why: str) -> Problem:
    """The refusal of a body that is not the multipart/form-data it claims to be."""
    return Problem(400, "BAD_MULTIPART", f"The multipart body is malformed: {why}.")


class MultipartReader:
    """Turns chunks of a body into events."""

    def __init__(self, content_type: str) -> None:
        media_type, options = parse_options_header(content_type)
        if media_type != b"multipart/form-data" or not options.get(b"boundary"):
            raise bad_multipart("no boundary")
        self._events: list[Event] = []
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._parts = 0
        self._is_complete = False
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._part_begin,
                    "on_part_data": self._part_data,
                    "on_part_end": self._part_end,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value_part,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_end": self._end,
                },
                max_header_count=PART_HEADERS_MAX,
                max_header_size=PART_HEADER_BYTES_MAX,
            )
        except FormParserError:
            raise bad_multipart("the boundary is too long") from None

    def feed(self, chunk: bytes) -> list[Event]:
        """What these bytes brought; raises Problem."""
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise bad_multipart("parts are not separated as announced") from None
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Refuse a body that ended before its last boundary."""
        if not self._is_complete:
            raise bad_multipart("it ends too early")

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise bad_multipart("too many parts")
        self._disposition = b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartBytes(data[start:end]))

    def _part_end(self) -> None:
        self._events.append(PartEnded())

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_value_part(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if kind != b"form-data" or name is None or len(name) > NAME_BYTES_MAX:
            raise bad_multipart("a part without a usable name")
        filename = options.get(b"filename")
        self._events.append(
            PartBegan(_decoded(name), None if filename is None else _decoded(filename))
        )

    def _end(self) -> None:
        self._is_complete = True


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
