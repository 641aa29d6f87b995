"""Reads tables of strangers from XLSX workbooks, after a look at how large they really are.

A workbook is a ZIP whose few kilobytes may unpack to gigabytes, and two cells may span a billion.
Both are counted before the workbook is read. Importing this imports calamine.
"""

import re
import zipfile
from collections.abc import Iterator
from typing import IO
from xml.parsers import expat

from python_calamine import CalamineSheet, CalamineWorkbook, PasswordError

from processors.tools.base import (
    ArchiveBomb,
    CorruptFile,
    InputFile,
    InvalidOptions,
    PasswordRequired,
    TooManyCells,
)
from processors.tools.parsing import parsing
from processors.tools.tables import CELLS_MAX, Cell, Number, Row, Table, as_text, unique_names

UNPACKED_BYTES_MAX = 512 * 1024**2
ENTRIES_MAX = 5_000
BLOCK_BYTES = 1024**2
ENCRYPTED = 0x1
REFERENCE = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})")
SHEET_PREFIX = "xl/worksheets/"


def workbook_table(file: InputFile, sheet: str | None, has_header: bool, notes: list[str]) -> Table:
    """One sheet of a workbook."""
    check_extent(file)
    rows = _rows(file, sheet, notes)
    header = next(rows, None) if has_header else None
    if has_header and header is None:
        raise CorruptFile("The sheet is empty.")
    names = unique_names([as_text(cell).strip() for cell in header], notes) if header else None
    return Table(names, rows, notes)


def _chosen(workbook: CalamineWorkbook, sheet: str | None, notes: list[str]) -> CalamineSheet:
    names = workbook.sheet_names
    if not names:
        raise CorruptFile("The workbook has no sheets.")
    if sheet is not None and sheet not in names:
        raise InvalidOptions(f"sheet: the workbook has no sheet {sheet!r}.", field="sheet")
    if sheet is None and len(names) > 1:
        notes.append(f"The first of {len(names)} sheets was taken.")
    return workbook.get_sheet_by_name(sheet or names[0])


def _rows(file: InputFile, sheet: str | None, notes: list[str]) -> Iterator[Row]:
    with parsing(), file.path.open("rb") as stream:
        try:
            workbook = CalamineWorkbook.from_filelike(stream)
        except PasswordError:
            raise PasswordRequired from None
        with workbook:
            for row in _chosen(workbook, sheet, notes).iter_rows():
                yield [_cell(value) for value in row]


def _cell(value: object) -> Cell:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
        return Number(int(value) if whole else repr(value))
    if value == "":
        return None
    cell: Cell = value  # type: ignore[assignment]  # calamine's other kinds are ours
    return cell


def check_extent(file: InputFile) -> None:
    """Refuse a workbook that unpacks to too much, or whose cells span too much."""
    with parsing(), zipfile.ZipFile(file.path) as archive:
        entries = archive.infolist()
        if len(entries) > ENTRIES_MAX:
            raise ArchiveBomb(f"The workbook has {len(entries)} parts.")
        if any(entry.flag_bits & ENCRYPTED for entry in entries):
            raise PasswordRequired
        unpacked = 0
        for entry in entries:
            with archive.open(entry) as stream:
                unpacked += _measured(stream, entry.filename, UNPACKED_BYTES_MAX - unpacked)


def _measured(stream: IO[bytes], name: str, bytes_max: int) -> int:
    extent = Extent() if name.startswith(SHEET_PREFIX) and name.endswith(".xml") else None
    unpacked = 0
    while block := stream.read(BLOCK_BYTES):
        unpacked += len(block)
        # The bytes are counted as they come: what the ZIP says of itself may be a lie.
        if unpacked > bytes_max:
            raise ArchiveBomb(f"The workbook unpacks to more than {UNPACKED_BYTES_MAX} bytes.")
        if extent is not None:
            extent.take(block)
    return unpacked


class Extent:
    """The rectangle of a sheet from its first to its last cell with content.

    The reader fills all of it, however few cells there are.
    """

    def __init__(self) -> None:
        self._row = self._column = 0
        self._rows: tuple[int, int] | None = None
        self._columns = (0, 0)
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._is_in_cell = False

    def take(self, block: bytes) -> None:
        """Take the next part of the sheet's XML; raises TooManyCells."""
        self._parser.Parse(block, False)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        kind = tag.rpartition(":")[2]
        if kind == "c":
            self._is_in_cell = True
            self._move(attributes.get("r"))
        elif kind == "row":
            self._is_in_cell = False
            self._row = int(attributes.get("r") or self._row + 1)
            self._column = 0
        elif self._is_in_cell:
            # A cell that holds anything; an empty one with a style does not count.
            self._is_in_cell = False
            self._widen()

    def _move(self, reference: str | None) -> None:
        place = REFERENCE.fullmatch(reference) if reference else None
        if place is None:
            self._column += 1
        else:
            self._column, self._row = column_index(place[1]), int(place[2])

    def _widen(self) -> None:
        top, bottom = self._rows or (self._row, self._row)
        left, right = self._columns if self._rows else (self._column, self._column)
        top, bottom = min(top, self._row), max(bottom, self._row)
        left, right = min(left, self._column), max(right, self._column)
        self._rows, self._columns = (top, bottom), (left, right)
        cells = (bottom - top + 1) * (right - left + 1)
        if cells > CELLS_MAX:
            raise TooManyCells(
                f"Between its first and its last cell a sheet spans {cells} cells;"
                f" {CELLS_MAX} are allowed."
            )


def _refuse_doctype(*_: object) -> None:
    raise CorruptFile("The workbook declares a document type.")


def column_index(letters: str) -> int:
    """The number of a column: A is 1, AA is 27."""
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter.upper()) - ord("A") + 1
    return index
