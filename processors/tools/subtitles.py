"""Reads and writes subtitles with pysubs2. Importing this imports it."""

import html
import re

import pysubs2

from processors.tools.base import (
    CorruptFile,
    DocumentedError,
    InputFile,
    OutputFile,
    ToolInput,
    ToolResult,
)
from processors.tools.filenames import output_name
from processors.tools.parsing import parsing
from processors.tools.subtitle_converter import MEDIA_TYPES, SubtitleFormat
from processors.tools.table_reading import open_text

CUES_MAX = 100_000
CUE_MARKS = ("-->", "Dialogue:")
OTHER_FORMAT: dict[str, SubtitleFormat] = {"srt": "vtt", "vtt": "srt", "ass": "srt", "ssa": "srt"}
NEGATIVE_TIME = re.compile(r"^\s*-\s*\d[\d:.,]*\s*-->|-->\s*-\s*\d", re.MULTILINE)
MS_PER_SECOND = 1_000


class TooManyCues(DocumentedError):
    """The file has more subtitles than the tool takes."""

    CODE = "TOO_MANY_CUES"


def converted(
    input_data: ToolInput, target: SubtitleFormat | None, shift_seconds: float, encoding: str
) -> ToolResult:
    """The subtitles in the wanted format, moved in time."""
    notes: list[str] = []
    subtitles = _read(input_data.files[0], None if encoding == "detect" else encoding, notes)
    chosen = target or OTHER_FORMAT[subtitles.format or "srt"]
    _unescape(subtitles)
    _shift(subtitles, shift_seconds, notes)
    if not subtitles.events:
        raise CorruptFile("No subtitle is left to be shown.")
    if subtitles.format in ("ass", "ssa") and chosen != "ass":
        notes.append("Styles and places on the screen are left out; the format has none.")
    path = input_data.folder / "subtitles"
    path.write_text(_written(subtitles, chosen), "utf-8", errors="replace")
    name = output_name(input_data.files, f".{chosen}")
    return ToolResult((OutputFile(name, path, MEDIA_TYPES[chosen]),), tuple(notes))


def _read(file: InputFile, encoding: str | None, notes: list[str]) -> pysubs2.SSAFile:
    with open_text(file.path, encoding, notes) as stream:
        text = stream.read()
    if sum(text.count(mark) for mark in CUE_MARKS) > CUES_MAX:
        raise TooManyCues(f"The file has more than {CUES_MAX} subtitles.")
    if "\0" in text:
        raise CorruptFile("The file holds a NUL.")
    if negative := NEGATIVE_TIME.search(text):
        # The library would drop the sign.
        line = text.count("\n", 0, negative.end()) + 1
        raise CorruptFile(f"Line {line} has a time before the beginning.")
    with parsing("The file holds no subtitles in a format that the tool reads."):
        subtitles = pysubs2.SSAFile.from_string(text)
        if subtitles.format not in OTHER_FORMAT or not subtitles.events:
            raise ValueError("no events, or a format of another kind")
    return subtitles


def _unescape(subtitles: pysubs2.SSAFile) -> None:
    if subtitles.format == "vtt":
        for event in subtitles.events:
            event.text = html.unescape(event.text)


def _shift(subtitles: pysubs2.SSAFile, seconds: float, notes: list[str]) -> None:
    if not seconds:
        return
    subtitles.shift(ms=round(seconds * MS_PER_SECOND))
    kept = [event for event in subtitles.events if event.end > 0]
    if gone := len(subtitles.events) - len(kept):
        notes.append(f"Subtitles that would have ended before the beginning, left out: {gone}.")
    for event in kept:
        event.start = max(event.start, 0)
    subtitles.events = kept


def _written(subtitles: pysubs2.SSAFile, target: SubtitleFormat) -> str:
    if target == "vtt":
        for event in subtitles.events:
            # What is text must not be taken for markup; the writer adds its own.
            event.text = event.text.replace("&", "&amp;").replace("<", "&lt;")
    return subtitles.to_string(target)
