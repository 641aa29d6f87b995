"""Lines of text as they were read from a picture, and the order in which people read them."""

from dataclasses import dataclass

SAME_LINE = 0.5
"""Boxes whose middles are nearer than this part of their height stand in one line."""


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of text, and where it stands: in pixels from the left top corner."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    confidence: float


def in_reading_order(lines: list[Line]) -> list[Line]:
    """Row by row; what stands beside each other goes from left to right."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda each: each.top + each.bottom):
        if rows and is_same_row(rows[-1][0], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda each: each.left)]


def is_same_row(one: Line, other: Line) -> bool:
    """Whether two pieces of text stand in one row."""
    height = min(one.bottom - one.top, other.bottom - other.top)
    return abs(one.top + one.bottom - other.top - other.bottom) / 2 < height * SAME_LINE
