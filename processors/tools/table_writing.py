"""Writes tables as CSV, TSV, JSON and XLSX, such that no cell is ever run as a formula unseen.

In XLSX every text is a text. In CSV a text that a spreadsheet would take for a formula gets an
apostrophe before it, unless that is not wished.
"""

import csv
import datetime
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from processors.tools.base import TooManyCells
from processors.tools.tables import Cell, CellTooLong, Number, Row, Table, as_text

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

TableFormat = Literal["csv", "tsv", "json", "ndjson", "parquet", "xlsx"]
COMMA, TAB = ",", "\t"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+([eE][+-]?[0-9]+)?%?")
WORKBOOK_MADE_AT = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
"""Always the same, so that the same input gives the same bytes."""
WORKBOOK_ROWS_MAX = 1_048_576
WORKBOOK_CELL_LENGTH_MAX = 32_767
WORKBOOK_DAY_FIRST = datetime.date(1900, 3, 1)
"""Before it, spreadsheets count a day that never was."""


def write_csv(table: Table, path: Path, *, mark_formulas: bool, separator: str = COMMA) -> None:
    """UTF-8, as RFC 4180 has it."""
    marked = 0
    with path.open("w", encoding="utf-8", errors="replace", newline="") as stream:
        writer = csv.writer(stream, delimiter=separator)
        for row in _with_header(table):
            cells = [as_text(cell) for cell in row]
            if mark_formulas:
                marked += _mark_formulas(cells)
            writer.writerow(cells)
    if marked:
        table.notes.append(f"Cells marked because they look like formulas: {marked}.")


def _with_header(table: Table) -> Iterator[Row]:
    if table.header is not None:
        yield list(table.header)
    yield from table.rows


def _mark_formulas(cells: list[str]) -> int:
    found = [
        index
        for index, text in enumerate(cells)
        if text.startswith(FORMULA_STARTS) and not PLAIN_NUMBER.fullmatch(text)
    ]
    for index in found:
        cells[index] = f"'{cells[index]}"
    return len(found)


def write_json(table: Table, path: Path) -> None:
    """A list of objects, or of lists where there are no names; one row a line."""
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as stream:
        stream.write("[")
        for number, line in enumerate(_json_rows(table)):
            stream.write("\n" if number == 0 else ",\n")
            stream.write(line)
        stream.write("\n]\n")


def write_json_lines(table: Table, path: Path) -> None:
    """An object a line, or a list where there are no names."""
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as stream:
        for line in _json_rows(table):
            stream.write(f"{line}\n")


def _json_rows(table: Table) -> Iterator[str]:
    keys = None if table.header is None else [_quoted(name) for name in table.header]
    for row in table.rows:
        values = [_as_json(cell) for cell in row]
        if keys is None:
            yield "[" + ", ".join(values) + "]"
        else:
            pairs = zip(keys, values, strict=True)
            yield "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _as_json(cell: Cell) -> str:
    match cell:
        case None | bool():
            return json.dumps(cell)
        case Number():
            return cell
        case _:
            return _quoted(as_text(cell))


def write_workbook(table: Table, path: Path, folder: Path) -> None:
    """One sheet; numbers that survive it are numbers, everything else is text or a date."""
    import xlsxwriter

    options = {
        # Row by row through files in the run's folder, so that memory does not grow.
        "constant_memory": True,
        "tmpdir": str(folder),
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(path, options) as workbook:
        workbook.set_properties({"created": WORKBOOK_MADE_AT})
        formats = {
            datetime.datetime: workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            datetime.date: workbook.add_format({"num_format": "yyyy-mm-dd"}),
            datetime.time: workbook.add_format({"num_format": "hh:mm:ss"}),
        }
        sheet = workbook.add_worksheet()
        for number, row in enumerate(_with_header(table)):
            if number >= WORKBOOK_ROWS_MAX:
                raise TooManyCells(f"A sheet holds {WORKBOOK_ROWS_MAX} rows.")
            for column, cell in enumerate(row):
                _write_cell(sheet, number, column, cell, lambda kind: formats[kind])


def _write_cell(
    sheet: "Worksheet", row: int, column: int, cell: Cell, style: Callable[[type], object]
) -> None:
    match cell:
        case None:
            return
        case bool():
            sheet.write_boolean(row, column, cell)
        case Number() if cell.is_exact:
            sheet.write_number(row, column, float(cell))
        case datetime.datetime() | datetime.date() if _is_countable(cell):
            sheet.write_datetime(row, column, cell, style(type(cell)))
        case datetime.time():
            sheet.write_datetime(row, column, cell, style(datetime.time))
        case _:
            text = as_text(cell)
            if len(text) > WORKBOOK_CELL_LENGTH_MAX:
                raise CellTooLong(
                    f"Row {row + 1} has a cell of {len(text)} characters;"
                    f" {WORKBOOK_CELL_LENGTH_MAX} are allowed."
                )
            sheet.write_string(row, column, text)


def _is_countable(moment: datetime.date) -> bool:
    day = moment.date() if isinstance(moment, datetime.datetime) else moment
    return day >= WORKBOOK_DAY_FIRST
