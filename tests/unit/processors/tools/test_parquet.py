"""Tables in Parquet: written with one library and read with another, and the other way round."""

import datetime
import decimal
import io
import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from processors.tools import parquet_tables
from processors.tools.signatures import PARQUET
from tests.factories import files
from tests.unit.processors.tools.workbench import Given, Made, made, refused

DAY = datetime.date(2024, 2, 29)
MOMENT = datetime.datetime(2024, 2, 29, 13, 5, 7)  # noqa: DTZ001 (a sheet knows no zones)


def text(content: str, media_type: str = "text/csv") -> Given:
    return Given(content.encode(), "t.x", media_type)


def parquet(columns: dict[str, Any]) -> Given:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return Given(stream.getvalue(), "t.parquet", "application/octet-stream")


def queried(result: Made, folder: Path, query: str) -> list[tuple[Any, ...]]:
    """What DuckDB, which is of another make, finds in a file."""
    path = folder / "t.parquet"
    path.write_bytes(result.content)
    return duckdb.sql(query.format(f"read_parquet('{path}')")).fetchall()


async def test_columns_get_the_narrowest_types_that_keep_their_values(tmp_path: Path) -> None:
    rows = (
        '[{"id": 7, "big": 123456789012345678901234567890, "price": 1.10, "zip": "007",'
        ' "ok": true, "none": null, "mix": 1},'
        ' {"id": -8, "big": 1, "price": 22.005, "zip": "042", "ok": false, "mix": "x"}]'
    )

    result = await made("table-converter", text(rows, "application/json"), output_format="parquet")

    assert (result.name, result.media_type) == ("t.parquet", PARQUET)
    kinds = dict(row[:2] for row in queried(result, tmp_path, "describe select * from {}"))
    assert kinds == {
        **{"id": "BIGINT", "big": "DECIMAL(30,0)", "price": "DECIMAL(5,3)", "zip": "VARCHAR"},
        **{"ok": "BOOLEAN", "none": "VARCHAR", "mix": "VARCHAR"},
    }
    assert queried(result, tmp_path, "select big, price, zip, mix from {}") == [
        (decimal.Decimal("123456789012345678901234567890"), decimal.Decimal("1.100"), "007", "1"),
        (decimal.Decimal(1), decimal.Decimal("22.005"), "042", "x"),
    ]
    assert "Columns with values of several kinds, written as text: 'mix'." in result.notes


async def test_dates_of_a_workbook_are_dates_in_parquet(tmp_path: Path) -> None:
    book = files.workbook([["day", "moment"], [DAY, MOMENT]])

    result = await made("table-converter", Given(book, "t.xlsx"
                        , "application/zip"), output_format="parquet")  # fmt: skip

    assert queried(result, tmp_path, "select * from {}") == [(DAY, MOMENT)]


async def test_what_no_decimal_can_hold_is_still_kept(tmp_path: Path) -> None:
    rows = '[{"tiny": 1e-300, "odd": 1.10e-300}]'

    result = await made("table-converter", text(rows, "application/json"), output_format="parquet")

    assert queried(result, tmp_path, "select * from {}") == [(1e-300, "1.10e-300")]


async def test_parquet_alone_becomes_a_csv() -> None:
    given = parquet(
        {
            "n": [1, None],
            "f": [0.1, float("nan")],
            "d": [decimal.Decimal("1.10"), decimal.Decimal("-2.00")],
            "s": ["=x", "Größe"],
            "b": [b"\x01\xff", None],
            "l": [[1, 2], []],
            "day": [DAY, None],
        }
    )

    result = await made("table-converter", given)

    assert (result.name, result.media_type) == ("t.csv", "text/csv")
    assert result.text.splitlines() == [
        "n,f,d,s,b,l,day",
        '1,0.1,1.10,\'=x,01ff,"[1,2]",2024-02-29',
        ",nan,-2.00,Größe,,[],",
    ]


async def test_moments_keep_their_zone_and_their_nanoseconds() -> None:
    fine = pa.array([1_000_000_001], pa.timestamp("ns"))
    coarse = pa.array([1_000_000_000], pa.timestamp("ns"))
    zoned = pa.array([0], pa.timestamp("s", "+02:00"))

    result = await made("table-converter", parquet({"a": fine, "b": coarse, "c": zoned}))

    assert result.text.splitlines()[1] == (
        "1970-01-01 00:00:01.000000001,1970-01-01 00:00:01,1970-01-01 02:00:00+02:00"
    )


@pytest.mark.parametrize("target", ["csv", "tsv", "json", "ndjson", "parquet", "xlsx"])
async def test_parquet_becomes_every_other_format_and_back(target: str) -> None:
    given = parquet({"a": ["007", "x"], "b": [1, 2]})

    there = await made("table-converter", given, output_format=target)
    back = await made(
        "table-converter",
        Given(there.content, "t.x", there.media_type),
        output_format="json",
    )

    assert json.loads(back.text) == [{"a": "007", "b": 1}, {"a": "x", "b": 2}]


@pytest.mark.parametrize("target", ["csv", "tsv", "json", "ndjson"])
async def test_duckdb_reads_tables_that_are_texts(target: str, tmp_path: Path) -> None:
    rows = '[{"a": "007", "b": "1"}, {"a": "x\\"y", "b": "z,\\tä\\n"}]'

    result = await made("table-converter", text(rows, "application/json"), output_format=target)

    path = tmp_path / f"t.{target}"
    path.write_bytes(result.content)
    reader = "read_json('{}')" if "json" in target else "read_csv('{}', all_varchar = true)"
    found = duckdb.sql(f"select a, b from {reader.format(path)}").fetchall()
    assert found == [("007", "1"), ('x"y', "z,\tä\n")]


async def test_tabs_are_a_format_of_their_own() -> None:
    tabs = await made("table-converter", text("a,b\n007,1\n"), output_format="tsv")

    assert (tabs.text, tabs.media_type) == ("a\tb\r\n007\t1\r\n", "text/tab-separated-values")


async def test_without_its_extra_only_parquet_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    given = parquet({"a": [1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    reading = await refused("table-converter", given)
    writing = await refused("table-converter", text("a,b\n1,2\n"), output_format="parquet")

    assert (reading.code, writing.code, writing.field) == (
        *("NOT_INSTALLED", "NOT_INSTALLED", "output_format"),
    )
    assert "pip install 'magictoolbox[tables]'" in reading.message
    assert (await made("table-converter", text("a,b\n1,2\n"))).content


@pytest.mark.parametrize(
    ("code", "content"),
    [
        ("CORRUPT_FILE", b"PAR1" + bytes(100)),
        ("CORRUPT_FILE", files.truncated(parquet({"a": list(range(100))}).content)),
        ("UNSUPPORTED_MEDIA_TYPE", bytes(100)),
    ],
)
async def test_bad_parquet_is_refused_by_its_code(code: str, content: bytes) -> None:
    given = Given(content, "t.parquet", "application/octet-stream")

    assert (await refused("table-converter", given)).code == code


async def test_too_many_cells_are_refused_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parquet_tables, "CELLS_MAX", 5)

    error = await refused("table-converter", parquet({"a": [1] * 3, "b": [1] * 3}))

    assert error.code == "TOO_MANY_CELLS"
