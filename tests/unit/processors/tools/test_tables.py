"""The tool for tables."""

import datetime
import io
import json
import zipfile
from typing import Any

import pytest
import python_calamine
from hypothesis import given
from hypothesis import strategies as st

from processors.tools import workbook_reading
from processors.tools.signatures import XLSX
from processors.tools.tables import Number, is_canonical, unique_names
from tests.factories import files
from tests.unit.processors.tools.workbench import Given, Made, made, refused

DAY = datetime.date(2024, 2, 29)
MOMENT = datetime.datetime(2024, 2, 29, 13, 5, 7)  # noqa: DTZ001 (a workbook knows no zones)


def csv(content: bytes | str, media_type: str = "text/csv") -> Given:
    return Given(content.encode() if isinstance(content, str) else content, "t.csv", media_type)


def jsn(content: bytes | str, media_type: str = "application/json") -> Given:
    return Given(content.encode() if isinstance(content, str) else content, "t.json", media_type)


def xlsx(content: bytes) -> Given:
    return Given(content, "t.xlsx", XLSX)


def cells(workbook: Made) -> list[list[Any]]:
    """A workbook as others read it."""
    with python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(workbook.content)) as reader:
        return reader.get_sheet_by_index(0).to_python()


async def rows_of(given_file: Given, **options: Any) -> list[Any]:
    result = await made("table-converter", given_file, output_format="json", **options)
    found: list[Any] = json.loads(result.text, parse_float=str, parse_int=str)
    return found


async def test_a_csv_alone_becomes_a_workbook() -> None:
    result = await made("table-converter", csv("id,name\n007,Ann\n42,Bob\n"))

    assert (result.name, result.media_type) == ("t.xlsx", XLSX)
    assert cells(result) == [["id", "name"], ["007", "Ann"], [42.0, "Bob"]]


async def test_a_workbook_alone_becomes_a_csv() -> None:
    book = files.workbook([["id", "day"], ["007", DAY], [1.5, MOMENT], [True, None]])

    result = await made("table-converter", xlsx(book))

    assert (result.name, result.media_type) == ("t.csv", "text/csv")
    assert result.text == ("id,day\r\n007,2024-02-29\r\n1.5,2024-02-29 13:05:07\r\ntrue,\r\n")


async def test_a_json_alone_becomes_a_workbook() -> None:
    result = await made("table-converter", jsn('[{"a": 1, "b": "x"}, {"b": null, "c": true}]'))

    assert cells(result) == [["a", "b", "c"], [1.0, "x", ""], ["", "", True]]


@pytest.mark.parametrize("source", ["csv", "json", "xlsx"])
@pytest.mark.parametrize("target", ["csv", "json", "xlsx"])
async def test_every_format_becomes_every_other(source: str, target: str) -> None:
    given_file = {
        "csv": csv("a,b\n007,-0.5\nx,12345678901234567890\n"),
        "json": jsn('[{"a":"007","b":-0.5},{"a":"x","b":12345678901234567890}]'),
        "xlsx": xlsx(files.workbook([["a", "b"], ["007", -0.5], ["x", "12345678901234567890"]])),
    }[source]

    result = await made("table-converter", given_file, output_format=target)

    again = {
        "csv": csv(result.content),
        "json": jsn(result.content),
        "xlsx": xlsx(result.content),
    }[target]
    assert await rows_of(again) == [
        {"a": "007", "b": "-0.5"},
        {"a": "x", "b": "12345678901234567890"},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "007",
        "1.50",
        "+49 171",
        "1e5",
        "1E400",
        "0x10",
        "2024-02-29",
        "1,5",
        "NaN",
        "12345678901234567",
    ],
)
async def test_what_a_number_would_change_stays_text(text: str) -> None:
    file = csv(f'value;x\n"{text}";y\n', "text/plain")

    assert (await rows_of(file))[0]["value"] == text
    assert cells(await made("table-converter", file))[1][0] == text


@pytest.mark.parametrize("text", ["0", "42", "-7", "0.1", "123456789012345", "-0.25"])
async def test_what_is_just_a_number_becomes_one(text: str) -> None:
    result = await made("table-converter", csv(f"value,x\n{text},y\n"))

    assert cells(result)[1][0] == float(text)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.decimals())
def test_a_canonical_number_survives_a_float(number: object) -> None:
    text = str(number)

    assert not is_canonical(text) or text in (f"{float(text)!r}", f"{float(text):.0f}")


async def test_a_number_of_json_is_kept_as_it_was_written() -> None:
    file = jsn('[{"price": 1.10, "big": 123456789012345678901234567890, "e": 1e2}]')

    result = await made("table-converter", file, output_format="csv")

    assert result.text == "price,big,e\r\n1.10,123456789012345678901234567890,1e2\r\n"


FORMULAS = ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\tx", "\rx"]


@pytest.mark.parametrize("text", FORMULAS)
async def test_a_formula_in_a_csv_is_only_text_in_a_workbook(text: str) -> None:
    source = jsn(json.dumps([{"a": text}]))

    result = await made("table-converter", source)

    with zipfile.ZipFile(io.BytesIO(result.content)) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize("text", FORMULAS)
async def test_a_formula_in_a_csv_that_is_written_is_marked(text: str) -> None:
    source = jsn(json.dumps([{"a": text}]))

    marked = await made("table-converter", source, output_format="csv")
    plain = await made("table-converter", source, output_format="csv", mark_formulas=False)

    assert f"'{text}" in marked.text
    assert "Cells marked because they look like formulas: 1." in marked.notes
    assert f"'{text}" not in plain.text


async def test_numbers_are_not_taken_for_formulas() -> None:
    result = await made("table-converter", csv("a,b\n-5,+1.50\n"), output_format="csv")

    assert result.text == "a,b\r\n-5,+1.50\r\n"


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("windows-1252", "windows-1252"),
    ],
)
async def test_the_encoding_is_found_out_and_told(encoding: str, told: str) -> None:
    text = "Name,Ort\nMüller,Köln\n" + "Maier,Hof\n" * 20

    result = await made("table-converter", csv(text.encode(encoding)), output_format="json")

    assert json.loads(result.text)[0] == {"Name": "Müller", "Ort": "Köln"}
    assert f"Read as {told}." in result.notes


async def test_an_encoding_that_is_wrong_is_refused() -> None:
    error = await refused("table-converter", csv("Müller,a\n".encode("latin-1")), encoding="utf-8")

    assert error.code == "CORRUPT_FILE"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
async def test_the_separator_is_found_out(separator: str) -> None:
    text = f"a{separator}b\n1,5{separator}2\n" if separator != "," else 'a,b\n"1,5",2\n'

    assert await rows_of(csv(text)) == [{"a": "1,5", "b": "2"}]


async def test_the_separator_can_be_given() -> None:
    assert await rows_of(csv("a;b,c\n1;2,3\n"), delimiter="comma") == [{"a;b": "1;2", "c": "3"}]


async def test_quotes_and_line_breaks_in_cells_survive() -> None:
    source = csv('a,b\n"say ""hi""","two\nlines"\n')

    result = await made("table-converter", source, output_format="csv")

    assert result.text == 'a,b\r\n"say ""hi""","two\nlines"\r\n'


async def test_without_a_header_rows_are_lists() -> None:
    assert await rows_of(csv("1,a\n2,b\n"), header=False) == [["1", "a"], ["2", "b"]]


async def test_column_names_are_made_unique_aloud() -> None:
    result = await made("table-converter", csv("a,a,\n1,2,3\n"), output_format="json")

    assert json.loads(result.text) == [{"a": 1, "a_2": 2, "column_3": 3}]
    assert "Column names that were empty or came twice, and were changed: 2." in result.notes


def test_made_up_names_do_not_clash_with_given_ones() -> None:
    assert len(set(unique_names(["a", "a_2", "a", ""], []))) == 4


async def test_a_sheet_is_found_by_its_name() -> None:
    book = files.workbook([["a"], [1]], sheet="Kosten")

    assert await rows_of(xlsx(book), sheet="Kosten") == [{"a": "1"}]
    error = await refused("table-converter", xlsx(book), sheet="Absatz")
    assert (error.code, error.field) == ("INVALID_OPTIONS", "sheet")


async def test_lines_of_json_are_a_table() -> None:
    file = jsn('{"a": 1}\n\n{"a": 2}\n', "application/x-ndjson")

    assert await rows_of(file) == [{"a": "1"}, {"a": "2"}]


async def test_json_is_known_by_its_content() -> None:
    assert await rows_of(jsn(' [{"a": 1}]', "text/plain")) == [{"a": "1"}]


async def test_nested_values_are_kept_as_json() -> None:
    result = await made(
        "table-converter", jsn('[{"a": {"b": [1.50, null, "ü"]}}]'), output_format="csv"
    )

    assert result.text == 'a\r\n"{""b"":[1.50,null,""ü""]}"\r\n'


async def test_short_rows_are_filled_up_where_that_is_wished() -> None:
    result = await made(
        "table-converter", csv("a,b\n1\n2,3\n"), output_format="csv", short_rows="fill"
    )

    assert result.text == "a,b\r\n1,\r\n2,3\r\n"
    assert "Rows that were too short and were filled up: 1." in result.notes


BAD: dict[str, tuple[str, str, Given]] = {
    "a short row": ("CORRUPT_FILE", "Row 3", csv("a,b\n1,2\n3\n")),
    "a long row": ("CORRUPT_FILE", "Row 2", csv("a,b\n1,2,3\n")),
    "an open quote": ("CORRUPT_FILE", "Row 2", csv('a,b\n1,"2\n')),
    "a NUL": ("CORRUPT_FILE", "Row 2", csv(b"a,b\n1,2\x00\n")),
    "a huge cell": ("CORRUPT_FILE", "Row 2", csv("a,b\n1," + "x" * (2 * 1024**2) + "\n")),
    "no row at all": ("CORRUPT_FILE", "no rows", csv("\n\n")),
    "too many columns": ("TOO_MANY_CELLS", "columns", csv("," * 20_000 + "\n")),
    "JSON cut short": ("CORRUPT_FILE", "no JSON", jsn('[{"a": 1}')),
    "JSON too deep": ("CORRUPT_FILE", "deeply", jsn("[" * 100_000)),
    "a key twice": ("CORRUPT_FILE", "twice", jsn('[{"a": 1, "a": 2}]')),
    "NaN": ("CORRUPT_FILE", "NaN", jsn('[{"a": NaN}]')),
    "a number too large": ("CORRUPT_FILE", "too large", jsn('[{"a": 1e400}]')),
    "a number too long": ("CORRUPT_FILE", "too large", jsn('[{"a": ' + "9" * 10_000 + "}]")),
    "JSON that is no table": ("CORRUPT_FILE", "list", jsn('["a", {"b": 1}]')),
    "JSON without rows": ("CORRUPT_FILE", "no rows", jsn("[{}]")),
    "a sparse workbook": ("TOO_MANY_CELLS", "spans", xlsx(files.sparse_workbook())),
    "a workbook cut short": ("CORRUPT_FILE", "", xlsx(files.truncated(files.workbook([[1]])))),
    "a ZIP of something else": ("CORRUPT_FILE", "", xlsx(b"PK\x03\x04" + bytes(100))),
    "an empty sheet": ("CORRUPT_FILE", "empty", xlsx(files.workbook([]))),
    "a picture": ("UNSUPPORTED_MEDIA_TYPE", "", csv(files.rgba_png())),
    "nothing": ("EMPTY_FILE", "", csv(b"")),
}


@pytest.mark.parametrize("bad", list(BAD))
async def test_a_bad_table_is_refused_by_its_code(bad: str) -> None:
    code, words, file = BAD[bad]

    error = await refused("table-converter", file)

    assert error.code == code
    assert words in error.message


async def test_a_cell_too_long_for_a_workbook_is_refused() -> None:
    file = csv("a\n" + "x" * 40_000 + "\n")

    error = await refused("table-converter", file, delimiter="comma")

    assert (error.code, "Row 2" in error.message) == ("CELL_TOO_LONG", True)


def rezipped(book: bytes, name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book)) as old,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.namelist():
            new.writestr(entry, content if entry == name else old.read(entry))
    return stream.getvalue()


async def test_a_workbook_that_unpacks_to_too_much_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workbook_reading, "UNPACKED_BYTES_MAX", 10 * 1024**2)
    bomb = rezipped(files.workbook([["a"]]), "xl/styles.xml", bytes(11 * 1024**2))

    assert (await refused("table-converter", xlsx(bomb))).code == "ARCHIVE_BOMB"


SHEET = "xl/worksheets/sheet1.xml"
NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def sheet(rows: str, before: str = "") -> Given:
    body = f"<worksheet {NAMESPACE}><sheetData>{rows}</sheetData></worksheet>"
    text = f"<?xml version='1.0'?>{before}{body}"
    return xlsx(rezipped(files.workbook([["a"]]), SHEET, text.encode()))


@pytest.mark.parametrize(
    "rows",
    [
        "<row><c r='A1'><v>1</v></c></row><row><c r='Z1048576'><v>1</v></c></row>",
        "<row r='1'><c><v>1</v></c></row><row r='1048576'><c/><c/><c/><c/><c><v>1</v></c></row>",
        "<row><c r='A1'><v>1</v></c><c a='>' r='XFD1048576'><v>1</v></c></row>",
    ],
)
async def test_no_way_to_write_cells_far_apart_is_missed(rows: str) -> None:
    assert (await refused("table-converter", sheet(rows))).code == "TOO_MANY_CELLS"


async def test_cells_that_only_have_a_style_do_not_count() -> None:
    rows = "<row r='1'><c r='A1'><v>7</v></c></row><row r='1048576'><c r='Z1048576' s='0'/></row>"

    assert await rows_of(sheet(rows), header=False) == [["7"]]


async def test_a_workbook_with_a_document_type_is_refused() -> None:
    rows = "<row r='1'><c r='A1'><v>7</v></c></row>"
    entity = '<!DOCTYPE worksheet [<!ENTITY x SYSTEM "file:///etc/passwd">]>'

    assert (await refused("table-converter", sheet(rows, entity))).code == "CORRUPT_FILE"


async def test_the_same_table_gives_the_same_workbook() -> None:
    file = csv("a,b\n1,2\n")

    assert await made("table-converter", file) == await made("table-converter", file)


async def test_days_before_spreadsheets_count_are_kept_as_text() -> None:
    result = await made("table-converter", jsn('[{"a": "1815-12-10"}]'))

    assert cells(result) == [["a"], ["1815-12-10"]]


def test_a_number_knows_whether_a_spreadsheet_keeps_it() -> None:
    assert Number("0.1").is_exact
    assert Number("0.30000000000000004").is_exact
    assert not Number("1.10").is_exact
    assert not Number("12345678901234567890").is_exact
