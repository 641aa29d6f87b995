"""The one table that `make bench` prints: a figure, what it stands beside, and the bar."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Sense(StrEnum):
    """Which side of a bar is the good one."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing."""

    value: float
    unit: str

    def __str__(self) -> str:
        digits = 0 if abs(self.value) >= 100 else 1 if abs(self.value) >= 10 else 2
        return f"{self.value:,.{digits}f} {self.unit}"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of ours, beside the limit or peer of the same run."""

    what: str
    ours: Figure
    beside: str = ""
    theirs: Figure | None = None
    sense: Sense = Sense.AT_LEAST
    bar: float | None = None
    """The ratio ours/theirs that is asked for; without a peer the figure itself."""

    @property
    def ratio(self) -> float | None:
        """Ours over theirs."""
        if self.theirs is None or not self.theirs.value:
            return None
        return self.ours.value / self.theirs.value

    @property
    def verdict(self) -> str:
        """Whether the bar was reached; empty where none is set."""
        if self.bar is None:
            return ""
        value = self.ours.value if self.ratio is None else self.ratio
        reached = value >= self.bar if self.sense is Sense.AT_LEAST else value <= self.bar
        return "reached" if reached else "MISSED"


def rendered(rows: Sequence[Row]) -> str:
    """The rows as a table of text."""
    heads = ("what", "figure", "beside", "measured", "ratio", "bar", "")
    cells = [
        (
            row.what,
            str(row.ours),
            row.beside,
            "" if row.theirs is None else str(row.theirs),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.bar is None else f"{row.sense} {row.bar:g}",
            row.verdict,
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in (heads, *cells)) for i in range(len(heads))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True))
        for line in (heads, tuple("-" * width for width in widths), *cells)
    ]
    return "\n".join(line.rstrip() for line in lines)


def median(values: Sequence[float]) -> float:
    """The middle one; machines are noisy, single runs mean nothing."""
    return statistics.median(values)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


Progress = Callable[[str], None]
