"""Reads tables of strangers from CSV and JSON; the file's content decides which it is.

What was found out about a file, such as its encoding, is noted. Text is never guessed half: a file
that does not fit its encoding from end to end is read in another one or refused.
"""

import codecs
import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO

from processors.tools.base import CorruptFile, TooManyCells
from processors.tools.tables import CELLS_MAX, Cell, Number, Row, Table, typed, unique_names

BLOCK_BYTES = 1024**2
CELL_LENGTH_MAX = 1024**2
SAMPLE_LENGTH = 64 * 1024
SAMPLE_ROWS = 20
DELIMITERS = (",", ";", "\t", "|")
NUMBER_LENGTH_MAX = 1_000
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
FALLBACK_ENCODING = "windows-1252"


def detected_encoding(path: Path) -> str:
    """The encoding of a text file: by its mark, or UTF-8 when all of it fits, or a Western one."""
    with path.open("rb") as stream:
        head = stream.read(SAMPLE_LENGTH)
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    if unmarked := _unmarked_utf16(head):
        return unmarked
    return "utf-8" if _fits(path, "utf-8") else FALLBACK_ENCODING


def _unmarked_utf16(head: bytes) -> str | None:
    # Western text in UTF-16 has a NUL in nearly every second byte.
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 < len(head) or min(even, odd) * 20 > len(head):
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _fits(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as stream:
        try:
            while block := stream.read(BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


@contextmanager
def open_text(path: Path, encoding: str | None, notes: list[str]) -> Iterator[TextIO]:
    """Open a text file in its encoding, and note which that is."""
    found = encoding or detected_encoding(path)
    notes.append(f"Read as {found.removesuffix('-sig')}.")
    try:
        with path.open("r", encoding=found, newline="") as stream:
            yield stream
    except UnicodeError:
        raise CorruptFile(f"The file is not {found} all through.") from None


def looks_like_json(stream: TextIO) -> bool:
    """Whether a text begins like JSON; the stream is where it was."""
    head = stream.read(SAMPLE_LENGTH).lstrip()
    stream.seek(0)
    return head.startswith(("[", "{"))


def csv_table(stream: TextIO, delimiter: str | None, has_header: bool, notes: list[str]) -> Table:
    """A CSV; its rows are read while they are taken."""
    separator = delimiter or _detected_delimiter(stream)
    notes.append(f"Cells are separated by {separator!r}.")
    rows = _csv_rows(stream, separator)
    header = next(rows, None) if has_header else None
    if has_header and header is None:
        raise CorruptFile("The file has no rows.")
    names = unique_names([str(cell).strip() for cell in header], notes) if header else None
    return Table(names, rows, notes)


def _csv_rows(stream: TextIO, separator: str) -> Iterator[Row]:
    csv.field_size_limit(CELL_LENGTH_MAX)
    reader = csv.reader(stream, delimiter=separator, strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, 1):
            if any("\0" in cell for cell in cells):
                raise CorruptFile(f"Row {number} holds a NUL.")
            # A blank line is not a row of one empty cell.
            if cells:
                yield [typed(cell) for cell in cells]
    except csv.Error as error:
        raise CorruptFile(f"Row {number + 1}: {error}.") from None


def _detected_delimiter(stream: TextIO) -> str:
    sample = stream.read(SAMPLE_LENGTH)
    stream.seek(0)
    lines = sample.splitlines(keepends=True)
    whole = lines if len(sample) < SAMPLE_LENGTH else lines[:-1]
    return max(DELIMITERS, key=lambda delimiter: _fitness(whole, delimiter))


def _fitness(lines: list[str], delimiter: str) -> tuple[bool, int]:
    """How well a delimiter explains the first rows: it gives all of them the same many cells."""
    widths = []
    try:
        for cells in csv.reader(lines, delimiter=delimiter):
            widths.append(len(cells))
            if len(widths) == SAMPLE_ROWS:
                break
    except csv.Error:
        return False, 0
    many = min(widths, default=0)
    return many > 1 and len(set(widths)) == 1, many


def json_table(stream: TextIO, notes: list[str]) -> Table:
    """A JSON list of objects or of lists, or one object or list a line."""
    text = stream.read()
    try:
        rows = _parsed(text)
    except RecursionError:
        raise CorruptFile("The JSON is nested too deeply.") from None
    if all(isinstance(row, dict) for row in rows):
        return _of_objects(rows, notes)
    if all(isinstance(row, list) for row in rows):
        return Table(None, ([_cell(value) for value in row] for row in rows), notes)
    raise CorruptFile("The JSON has to be a list of objects or a list of lists.")


def _parsed(text: str) -> list[Any]:
    try:
        value = _decoder().decode(text)
    except json.JSONDecodeError as error:
        return _parsed_lines(text, error)
    return value if isinstance(value, list) else [value]


def _parsed_lines(text: str, error: json.JSONDecodeError) -> list[Any]:
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        return [_decoder().decode(line) for line in lines]
    except json.JSONDecodeError:
        where = f"line {error.lineno}, column {error.colno}"
        raise CorruptFile(f"The file is no JSON: {error.msg} ({where}).") from None


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_without_doubles,
        parse_float=_number,
        parse_int=_number,
        parse_constant=_refused_constant,
    )


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CorruptFile("The JSON has an object with the same key twice.")
    return found


def _number(text: str) -> Number:
    if len(text) > NUMBER_LENGTH_MAX or abs(float(text)) == float("inf"):
        raise CorruptFile("The JSON has a number that is too large.")
    return Number(text)


def _refused_constant(name: str) -> NoReturn:
    raise CorruptFile(f"The JSON has {name} in the place of a number.")


def _of_objects(objects: list[dict[str, Any]], notes: list[str]) -> Table:
    if not any(objects):
        raise CorruptFile("The file has no rows.")
    names = list(dict.fromkeys(name for row in objects for name in row))
    if len(names) * len(objects) > CELLS_MAX:
        raise TooManyCells(f"The table has more than {CELLS_MAX} cells.")
    rows = ([_cell(row.get(name)) for name in names] for row in objects)
    return Table(unique_names(names, notes), rows, notes)


def _cell(value: Any) -> Cell:
    if isinstance(value, dict | list):
        try:
            return _compact(value)
        except RecursionError:
            raise CorruptFile("The JSON is nested too deeply.") from None
    cell: Cell = value
    return cell


def _compact(value: Any) -> str:
    match value:
        case dict():
            pairs = (f"{json.dumps(k, ensure_ascii=False)}:{_compact(v)}" for k, v in value.items())
            return "{" + ",".join(pairs) + "}"
        case list():
            return "[" + ",".join(_compact(entry) for entry in value) + "]"
        case Number():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False)
