"""Tells what is in an archive, without unpacking it."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from processors.tools.archives import INPUT_FORMATS, Entry
from processors.tools.base import (
    BaseTool,
    Comparison,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.filenames import output_name

ListFormat = Literal["json", "csv", "text"]
MEDIA_TYPES: dict[ListFormat, str] = {
    "json": "application/json",
    "csv": "text/csv",
    "text": "text/plain",
}
FIELDS = ("name", "kind", "size_bytes", "packed_bytes", "modified", "encrypted", "danger")


class ArchiveListerOptions(ToolOptions):
    """How the list is written, and how to get in."""

    output_format: ListFormat = Field(
        default="json",
        title="Output format",
        description="JSON or CSV for programs, text to read.",
        examples=["text"],
    )
    password: SecretStr | None = Field(
        default=None,
        max_length=1_000,
        title="Password",
        description="Of a 7z archive whose names are encrypted.",
        examples=["correct horse"],
    )


class ArchiveLister(BaseTool[ArchiveListerOptions]):
    """What may not be unpacked is listed with the reason, not refused."""

    name = "archive-lister"
    description = "Lists what is in a ZIP, 7z or tar archive, and says what in it is dangerous."
    version = "1.0.0"
    group = "archives"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = list(MEDIA_TYPES.values())
    limits = ToolLimits()
    modules = ("processors.tools.archive_reading",)
    compares_with = (
        Comparison(
            "7-Zip",
            "7z l archive.zip",
            (
                "Links, devices and paths that lead outside are marked as dangerous.",
                "A tar inside gzip is listed at once; 7z shows the tar and wants a second call.",
                "7z knows RAR, ISO and more; here are ZIP, 7z, tar and what compresses one file.",
            ),
        ),
    )
    Options = ArchiveListerOptions

    async def process(self, input_data: ToolInput, options: ArchiveListerOptions) -> ToolResult:
        """List all entries."""
        from processors.tools.archive_reading import opened

        with opened(input_data, options.password) as archive:
            rows = [_row(entry) for entry in archive.entries()]
        path = input_data.folder / "list"
        WRITERS[options.output_format](path, rows)
        suffix = "txt" if options.output_format == "text" else options.output_format
        name = output_name(input_data.files, f".{suffix}")
        return ToolResult(
            (OutputFile(name, path, MEDIA_TYPES[options.output_format]),), tuple(_notes(rows))
        )


def _row(entry: Entry) -> dict[str, Any]:
    modified = entry.modified.isoformat() if entry.modified else None
    values = (
        *(entry.name.encode(errors="replace").decode(), entry.kind, entry.size_bytes),
        *(entry.packed_bytes, modified, entry.is_encrypted, entry.danger),
    )
    return dict(zip(FIELDS, values, strict=True))


def _notes(rows: list[dict[str, Any]]) -> list[str]:
    dangerous = sum(row["danger"] is not None for row in rows)
    return [f"Entries that may not be unpacked: {dangerous}."] if dangerous else []


def _write_json(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps({"entries": rows}, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        for row in rows:
            # A name that a spreadsheet would run as a formula stays a name.
            name = str(row["name"])
            writer.writerow({**row, "name": f"'{name}" if name.startswith(tuple("=+-@")) else name})


def _write_text(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = [_line(row) for row in rows]
    total = sum(row["size_bytes"] or 0 for row in rows)
    lines.append(f"{total:>12}  {'':19}  {len(rows)} entries")
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _line(row: dict[str, Any]) -> str:
    name = "".join(character if character.isprintable() else "?" for character in row["name"])
    danger = f"  ({row['danger']})" if row["danger"] else ""
    return f"{row['size_bytes'] or 0:>12}  {(row['modified'] or '')[:19]:19}  {name}{danger}"


WRITERS: dict[ListFormat, Callable[[Path, list[dict[str, Any]]], None]] = {
    "json": _write_json,
    "csv": _write_csv,
    "text": _write_text,
}
