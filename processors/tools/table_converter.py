"""Turns a table into another table format."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    InputFile,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
    UnsupportedMediaType,
)
from processors.tools.extras import needed
from processors.tools.filenames import output_name
from processors.tools.signatures import (
    HEAD_BYTES,
    PARQUET,
    SIGNATURES,
    XLSX,
    has_signature,
    is_marked_as_any,
)
from processors.tools.table_reading import csv_table, json_table, looks_like_json, open_text
from processors.tools.table_writing import (
    TAB,
    TableFormat,
    write_csv,
    write_json,
    write_json_lines,
    write_workbook,
)
from processors.tools.tables import Table, evened

MEDIA_TYPES: dict[TableFormat, str] = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "parquet": PARQUET,
    "xlsx": XLSX,
}
OTHER_FORMAT: dict[TableFormat, TableFormat] = {
    "csv": "xlsx",
    "json": "xlsx",
    "parquet": "csv",
    "xlsx": "csv",
}
JSON_TYPES = frozenset({"application/json", "application/x-ndjson"})
CSV_TYPES = frozenset({"text/csv", "application/csv", "text/tab-separated-values"})
OCTETS = "application/octet-stream"
EXTRA = "tables"
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


class TableConverterOptions(ToolOptions):
    """How a table is read and written."""

    output_format: TableFormat | None = Field(
        default=None,
        title="Output format",
        description="If unset: XLSX and Parquet become CSV; CSV, TSV and JSON become XLSX."
        " Parquet needs the extra `tables`.",
        examples=["parquet"],
    )
    header: bool = Field(
        default=True,
        title="Header",
        description="The first row of a CSV or a sheet holds the names of the columns.",
        examples=[False],
    )
    sheet: str | None = Field(
        default=None,
        max_length=255,
        title="Sheet",
        description="Which sheet of a workbook, by its name; if unset, the first.",
        examples=["Sheet2"],
    )
    delimiter: Literal["detect", "comma", "semicolon", "tab", "pipe"] = Field(
        default="detect",
        title="Delimiter",
        description="What stands between the cells of a CSV.",
        examples=["semicolon"],
    )
    encoding: Literal["detect", "utf-8", "utf-16", "windows-1252", "iso-8859-15"] = Field(
        default="detect",
        title="Encoding",
        description="Of a CSV or JSON that is read; UTF-8 is written.",
        examples=["windows-1252"],
    )
    short_rows: Literal["refuse", "fill"] = Field(
        default="refuse",
        title="Short rows",
        description="Refuse a CSV in which a row is shorter than the first, or fill the row up.",
        examples=["fill"],
    )
    mark_formulas: bool = Field(
        default=True,
        title="Mark formulas",
        description="In a CSV that is written, put an apostrophe before text that a spreadsheet"
        " would run as a formula.",
        examples=[False],
    )


class TableConverter(BaseTool[TableConverterOptions]):
    """Numbers, dates and leading zeros stay as they are; text never becomes a formula."""

    name = "table-converter"
    description = "Converts a table between CSV, TSV, JSON, NDJSON, Parquet and XLSX."
    version = "1.1.0"
    group = "tables"
    input_formats: ClassVar[list[str]] = [
        *("text/csv", "application/csv", "text/tab-separated-values", "text/plain"),
        *("application/json", "application/x-ndjson", XLSX, "application/zip"),
        *(PARQUET, "application/x-parquet", OCTETS),
    ]
    output_formats: ClassVar[list[str]] = list(MEDIA_TYPES.values())
    limits = ToolLimits(memory_bytes=1536 * MIB)
    modules = ("python_calamine", "xlsxwriter", "processors.tools.workbook_reading")
    compares_with = (
        Comparison(
            "csvkit",
            "in2csv in.xlsx > out.csv",
            (
                "Leading zeros, long numbers and decimals stay as they are; in2csv guesses types.",
                "What a spreadsheet would run as a formula is marked, unless that is not wished.",
                "csvkit can also filter, join and query tables, and read DBF and old XLS files.",
            ),
        ),
        Comparison(
            "DuckDB",
            "duckdb -c \"copy (from 'in.csv') to 'out.parquet'\"",
            (
                "Decimals become decimals in Parquet; DuckDB makes binary floating point of them.",
                "The encoding of a CSV is found out; DuckDB has to be told.",
                "DuckDB reads files that are larger than memory.",
            ),
        ),
    )
    Options = TableConverterOptions

    async def process(self, input_data: ToolInput, options: TableConverterOptions) -> ToolResult:
        """Convert the one table."""
        notes: list[str] = []
        file = input_data.files[0]
        with _opened(file, options, notes) as (kind, table):
            input_data.progress(0.3, "read")
            target = options.output_format or OTHER_FORMAT[kind]
            even = evened(table, fill=options.short_rows == "fill")
            path = _written(even, target, input_data.folder, options)
        name = output_name(input_data.files, f".{target}")
        return ToolResult((OutputFile(name, path, MEDIA_TYPES[target]),), tuple(notes))


@contextmanager
def _opened(
    file: InputFile, options: TableConverterOptions, notes: list[str]
) -> Iterator[tuple[TableFormat, Table]]:
    """The table in a file, whose rows are read while they are taken."""
    with file.path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if has_signature(head, XLSX):
        from processors.tools.workbook_reading import workbook_table

        yield "xlsx", workbook_table(file, options.sheet, options.header, notes)
        return
    if has_signature(head, PARQUET):
        needed("pyarrow", EXTRA, "Parquet files")
        from processors.tools.parquet_tables import parquet_table

        yield "parquet", parquet_table(file, notes)
        return
    if file.media_type == OCTETS or is_marked_as_any(head, list(SIGNATURES)):
        raise UnsupportedMediaType("The file is neither CSV, JSON, Parquet nor XLSX.")
    encoding = None if options.encoding == "detect" else options.encoding
    with open_text(file.path, encoding, notes) as text:
        if file.media_type in JSON_TYPES or (
            file.media_type not in CSV_TYPES and looks_like_json(text)
        ):
            yield "json", json_table(text, notes)
        else:
            delimiter = DELIMITERS.get(options.delimiter)
            yield "csv", csv_table(text, delimiter, options.header, notes)


def _written(
    table: Table, target: TableFormat, folder: Path, options: TableConverterOptions
) -> Path:
    path = folder / f"table.{target}"
    match target:
        case "csv":
            write_csv(table, path, mark_formulas=options.mark_formulas)
        case "tsv":
            write_csv(table, path, mark_formulas=options.mark_formulas, separator=TAB)
        case "json":
            write_json(table, path)
        case "ndjson":
            write_json_lines(table, path)
        case "parquet":
            needed("pyarrow", EXTRA, "Parquet files", field="output_format")
            from processors.tools.parquet_tables import write_parquet

            write_parquet(table, path)
        case "xlsx":
            write_workbook(table, path, folder)
    return path
