"""What tools for PDF documents share that needs no PDF library."""

import re
from pathlib import Path
from typing import Any

from pydantic import Field

from processors.tools.base import CorruptFile, InputFile, InvalidOptions, UnsupportedMediaType

PDF = "application/pdf"
END_MARK = b"%%EOF"
START_MARK = b"%PDF-"
MARK_BYTES = 1_024
"""Viewers look for the marks this near to the ends of a file."""
PAGES_MAX = 10_000
"""Of a document that is read or made."""
RANGES_LENGTH_MAX = 200
RANGE = re.compile(r"(\d{1,6})?(-)?(\d{1,6})?")


def check_whole(file: InputFile, subject: str = "The file") -> None:
    """Refuse what is no PDF, and a PDF that was cut short.

    The libraries would repair the latter, and leave out unseen what is missing.
    """
    head, tail = _ends(file.path)
    if START_MARK not in head:
        raise UnsupportedMediaType(f"{subject} is not a PDF.")
    if END_MARK not in tail:
        raise CorruptFile(f"{subject} is cut short.")


def _ends(path: Path) -> tuple[bytes, bytes]:
    with path.open("rb") as stream:
        head = stream.read(MARK_BYTES)
        stream.seek(max(0, path.stat().st_size - MARK_BYTES))
        return head, stream.read(MARK_BYTES)


def pages_option(description: str) -> Any:
    """The option that names pages of a document."""
    return Field(
        default="",
        max_length=RANGES_LENGTH_MAX,
        pattern=r"^[0-9, -]*$",
        title="Pages",
        description=description,
        examples=["1-3,5,8-"],
    )


def page_indexes(ranges: str, count: int) -> list[int]:
    """The pages that a list such as `1-3,5,8-` names, counted from 0; all when it is empty."""
    if not ranges.strip():
        return list(range(count))
    return [index for part in page_ranges(ranges, count) for index in part]


def page_ranges(ranges: str, count: int) -> list[range]:
    """The same, each part of the list by itself."""
    return [_range(part.strip(), count) for part in ranges.split(",")]


def _range(part: str, count: int) -> range:
    match = RANGE.fullmatch(part)
    if not part or match is None or part == "-":
        raise InvalidOptions(f"pages: {part!r} is not a page or a range.", field="pages")
    first, dash, last = match.groups()
    start = int(first) if first else 1
    end = int(last) if last else (count if dash else start)
    if not 1 <= start <= end <= count:
        raise InvalidOptions(
            f"pages: the document has {count} pages, {part!r} is not among them.", field="pages"
        )
    return range(start - 1, end)
