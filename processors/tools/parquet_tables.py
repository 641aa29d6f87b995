"""Reads and writes Parquet, whose columns have types. Importing this imports pyarrow.

A column gets the narrowest type that keeps all its values: whole numbers stay whole however large,
decimals stay decimal, and what has several kinds of values becomes text.
"""

import datetime
import decimal
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from processors.tools.base import InputFile, TooManyCells
from processors.tools.parsing import parsing
from processors.tools.tables import (
    CELLS_MAX,
    COLUMNS_MAX,
    Cell,
    Number,
    Row,
    Table,
    as_text,
    unique_names,
)

BATCH_ROWS = 10_000
INT64_DIGITS_MAX = 18
DECIMAL128_DIGITS_MAX = 38
DECIMAL_DIGITS_MAX = 76
PLAIN_KINDS: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    datetime.datetime: pa.timestamp("us"),
    datetime.date: pa.date32(),
    datetime.time: pa.time64("us"),
}


def parquet_table(file: InputFile, notes: list[str]) -> Table:
    """A Parquet file; its rows are read while they are taken."""
    with parsing():
        source = pq.ParquetFile(file.path)
        names = source.schema_arrow.names
    if len(names) > COLUMNS_MAX:
        raise TooManyCells(f"The table has more than {COLUMNS_MAX} columns.")
    if source.metadata.num_rows * len(names) > CELLS_MAX:
        raise TooManyCells(f"The table has more than {CELLS_MAX} cells.")
    return Table(unique_names(names, notes), _rows(source), notes)


def _rows(source: pq.ParquetFile) -> Iterator[Row]:
    with parsing(), source:
        for batch in source.iter_batches(batch_size=BATCH_ROWS):
            columns = [_values(column) for column in batch.columns]
            for values in zip(*columns, strict=True):
                yield [_cell(value) for value in values]


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's own moments end at microseconds; finer ones are kept as text.
        coarse = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        is_finer = coarse.cast(column.type) != column
        column = column.cast(pa.string()) if is_finer else coarse
    values: list[Any] = column.to_pylist()
    return values


def _cell(value: Any) -> Cell:
    match value:
        case None | bool() | str():
            return value
        case int():
            return Number(value)
        case float():
            return _from_float(value)
        case decimal.Decimal():
            return Number(format(value, "f"))
        case datetime.datetime() if value.tzinfo is not None:
            # A sheet knows no zones, so the offset stays in the text.
            return value.isoformat(sep=" ")
        case datetime.datetime() | datetime.date() | datetime.time():
            return value
        case bytes():
            return value.hex()
        case dict() | list() | tuple():
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
        case _:
            return str(value)


def _from_float(value: float) -> Cell:
    if value != value or abs(value) == float("inf"):
        return str(value)
    whole = value.is_integer() and abs(value) < 10**15
    return Number(int(value) if whole else repr(value))


def write_parquet(table: Table, path: Path) -> None:
    """One file; the types of its columns are found out from all their values."""
    columns: list[list[Cell]] = []
    for row in table.rows:
        if not columns:
            columns = [[] for _ in row]
        for column, cell in zip(columns, row, strict=True):
            column.append(cell)
    names = table.header or [f"column_{number + 1}" for number in range(len(columns))]
    columns = columns or [[] for _ in names]
    mixed = [name for name, cells in zip(names, columns, strict=True) if _is_mixed(cells)]
    arrays = [_array(cells) for cells in columns]
    pq.write_table(pa.Table.from_arrays(arrays, names=names), path, compression="snappy")
    if mixed:
        shown = ", ".join(repr(name[:80]) for name in mixed[:10])
        table.notes.append(f"Columns with values of several kinds, written as text: {shown}.")


def _kinds(cells: list[Cell]) -> set[type]:
    return {type(cell) for cell in cells if cell is not None}


def _is_mixed(cells: list[Cell]) -> bool:
    return len(_kinds(cells)) > 1


def _array(cells: list[Cell]) -> pa.Array:
    kinds = _kinds(cells)
    if len(kinds) == 1:
        (kind,) = kinds
        if kind in PLAIN_KINDS:
            return pa.array(cells, PLAIN_KINDS[kind])
        if kind is Number and (numbers := _numbers(cells)) is not None:
            return numbers
    return pa.array([None if cell is None else as_text(cell) for cell in cells], pa.string())


def _numbers(cells: list[Cell]) -> pa.Array | None:
    """Numbers in the narrowest type that keeps them; None where there is none."""
    values = [None if cell is None else decimal.Decimal(str(cell)) for cell in cells]
    present = [value.as_tuple() for value in values if value is not None]
    scale = max(max(-int(parts.exponent), 0) for parts in present)
    whole = max(
        len(parts.digits) + max(int(parts.exponent), -len(parts.digits)) for parts in present
    )
    if scale == 0 and whole <= INT64_DIGITS_MAX:
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    if whole + scale > DECIMAL_DIGITS_MAX:
        return _floats(cells)
    digits = max(whole + scale, 1)
    narrow = digits <= DECIMAL128_DIGITS_MAX
    kind = pa.decimal128(digits, scale) if narrow else pa.decimal256(digits, scale)
    return pa.array(values, kind)


def _floats(cells: list[Cell]) -> pa.Array | None:
    """Numbers as binary floating point, where that keeps all of them."""
    numbers = [cell for cell in cells if isinstance(cell, Number)]
    if not all(number.is_exact for number in numbers):
        return None
    return pa.array([None if cell is None else float(str(cell)) for cell in cells], pa.float64())
