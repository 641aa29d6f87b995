"""A table between its reading and its writing: rows of cells that keep what they were.

A number is kept as it was written, so that nothing is rounded and no leading zero is lost.
"""

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from processors.tools.base import CorruptFile, DocumentedError, TooManyCells

CELLS_MAX = 5_000_000
COLUMNS_MAX = 16_384
CANONICAL = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{0,14}[1-9])?")
EXACT_DIGITS = 15
"""So many significant digits survive in the binary floating point that spreadsheets count in."""


class Number(str):
    """A number, as it was written."""

    __slots__ = ()

    @property
    def is_exact(self) -> bool:
        """Whether it can be a spreadsheet's number and still be written as it was."""
        return is_canonical(self) or repr(float(self)) == self


Cell = str | Number | bool | datetime.date | datetime.datetime | datetime.time | None
Row = list[Cell]


@dataclass(slots=True)
class Table:
    """A header and the rows below it; without a header, rows only."""

    header: list[str] | None
    rows: Iterable[Row]
    notes: list[str] = field(default_factory=list)


class CellTooLong(DocumentedError):
    """A cell holds more text than the output format can take."""

    CODE = "CELL_TOO_LONG"


def is_canonical(text: str) -> bool:
    """Whether a text is just what its number looks like when it is written out.

    `42` and `-0.5` are; `007`, `1.50`, `1e5`, `+1` and what a float would round are not.
    """
    if CANONICAL.fullmatch(text) is None or sum(map(str.isdigit, text)) > EXACT_DIGITS:
        return False
    number = float(text)
    return text == (str(int(number)) if number.is_integer() else repr(number))


def typed(text: str) -> Cell:
    """A cell of a file that has only text: a number when that loses nothing."""
    return Number(text) if is_canonical(text) else text


def counted(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, as long as they are not too many."""
    cells = 0
    for row in rows:
        cells += len(row)
        if len(row) > COLUMNS_MAX:
            raise TooManyCells(f"A row has {len(row)} cells; {COLUMNS_MAX} are allowed.")
        if cells > CELLS_MAX:
            raise TooManyCells(f"The table has more than {CELLS_MAX} cells.")
        yield row


def evened(table: Table, *, fill: bool) -> Table:
    """The table with rows of one length; shorter ones are filled up where that is wished."""
    return Table(table.header, counted(_even(table, fill=fill)), table.notes)


def _even(table: Table, *, fill: bool) -> Iterator[Row]:
    width = len(table.header) if table.header is not None else None
    first = 1 if table.header is None else 2
    filled = 0
    for number, row in enumerate(table.rows, first):
        width = len(row) if width is None else width
        if len(row) != width:
            if not fill or len(row) > width:
                raise CorruptFile(f"Row {number} has {len(row)} cells; the first row has {width}.")
            filled += 1
        yield row + [None] * (width - len(row))
    if filled:
        table.notes.append(f"Rows that were too short and were filled up: {filled}.")


def unique_names(names: Iterable[str], notes: list[str]) -> list[str]:
    """Column names of which no two are the same, and none is empty."""
    found: list[str] = []
    taken: set[str] = set()
    changed = 0
    for position, name in enumerate(names, 1):
        if position > COLUMNS_MAX:
            raise TooManyCells(f"The table has more than {COLUMNS_MAX} columns.")
        wanted = name or f"column_{position}"
        unique, count = wanted, 1
        while unique in taken:
            count += 1
            unique = f"{wanted}_{count}"
        changed += unique != name
        taken.add(unique)
        found.append(unique)
    if changed:
        notes.append(f"Column names that were empty or came twice, and were changed: {changed}.")
    return found


def as_text(cell: Cell) -> str:
    """A cell in a file that has only text."""
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case str():
            return cell
        case datetime.datetime():
            return cell.isoformat(sep=" ")
        case _:
            return cell.isoformat()
