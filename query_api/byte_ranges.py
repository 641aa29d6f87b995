"""Reads the `Range` of a download (RFC 9110, section 14): one range of bytes, or the whole file.

What the standard lets a server ignore is ignored: other units, several ranges, bad syntax.
"""

import re
from dataclasses import dataclass
from typing import Final

from infrastructure.http.problems import Problem

# 19 digits are more than any file has, and few enough to be read as a number at once.
_ONE_RANGE: Final = re.compile(r"bytes=\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from `start` up to, but without, `end`."""

    start: int
    end: int

    def content_range(self, size: int) -> str:
        """The header that says which part of how much this is."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


def requested_range(header: str | None, size: int) -> ByteRange | None:
    """The part of a file of `size` bytes that is asked for; None: all of it.

    Raises Problem 416 for a range that lies behind the end.
    """
    match = _ONE_RANGE.match(header) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        # The last so many bytes.
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if start >= end:
        raise _not_satisfiable(size)
    return ByteRange(start, end)


def _not_satisfiable(size: int) -> Problem:
    return Problem(
        416,
        "RANGE_NOT_SATISFIABLE",
        f"The file has {size} bytes.",
        headers={"Content-Range": f"bytes */{size}"},
    )
