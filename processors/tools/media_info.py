"""Tells what is in a sound or film file."""

import json
from dataclasses import asdict
from typing import Any, ClassVar, Literal

from pydantic import Field

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    CorruptFile,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
    install_command,
)
from processors.tools.extras import NotInstalled
from processors.tools.filenames import output_name
from processors.tools.programs import FFMPEG, path_of

MATROSKA_MARK = b"\x1aE\xdf\xa3"
"""How Matroska and WebM begin, which tinytag does not read."""


class MediaInfoOptions(ToolOptions):
    """How the findings are written."""

    output_format: Literal["json", "text"] = Field(
        default="json",
        title="Output format",
        description="JSON for programs, text to read.",
        examples=["text"],
    )


class MediaInfo(BaseTool[MediaInfoOptions]):
    """Reads headers and tags, and decodes nothing."""

    name = "media-info"
    description = (
        "Tells duration, bitrate, sampling and tags of an audio file or an MP4, and with the extra"
        " media the streams of a Matroska or WebM."
    )
    version = "1.1.0"
    group = "media"
    input_formats: ClassVar[list[str]] = ["audio/*", "video/*", "application/ogg"]
    output_formats: ClassVar[list[str]] = ["application/json", "text/plain"]
    limits = ToolLimits(memory_bytes=512 * MIB, processes_max=4)
    modules = ("tinytag", "processors.tools.media_tags")
    compares_with = (
        Comparison(
            "ffprobe",
            "ffprobe -show_format -of json in.mp3",
            (
                "Needs no codec, and ffmpeg only for Matroska and WebM; ffprobe knows far more"
                " formats.",
                "ffprobe tells the streams of every film; here they are told of Matroska and WebM,"
                " and of others sound and tags.",
            ),
        ),
    )
    Options = MediaInfoOptions

    async def process(self, input_data: ToolInput, options: MediaInfoOptions) -> ToolResult:
        """Read headers and tags of the one file."""
        from processors.tools.media_tags import told

        if _is_matroska(input_data):
            facts = await _streams_told(input_data)
        else:
            facts = told(input_data.files[0])
        path = input_data.folder / "info"
        if options.output_format == "json":
            path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", "utf-8")
            kind, suffix = "application/json", ".json"
        else:
            path.write_text(_lines(facts), "utf-8")
            kind, suffix = "text/plain", ".txt"
        return ToolResult((OutputFile(output_name(input_data.files, suffix), path, kind),))


def _is_matroska(input_data: ToolInput) -> bool:
    with input_data.files[0].path.open("rb") as stream:
        return stream.read(len(MATROSKA_MARK)) == MATROSKA_MARK


async def _streams_told(input_data: ToolInput) -> dict[str, Any]:
    """What ffmpeg says of a file, where it is installed."""
    from processors.tools.media import header_of

    if path_of(FFMPEG) is None:
        raise NotInstalled(f"Matroska and WebM need the extra: {install_command('media')}.")
    recording, file = await header_of(input_data), input_data.files[0]
    if not recording.streams:
        raise CorruptFile("The file holds neither sound nor film.")
    facts: dict[str, Any] = {"media_type": file.media_type, "size_bytes": file.size_bytes}
    if recording.duration_seconds:
        bits = file.size_bytes * 8 / 1_000
        facts["duration_seconds"] = recording.duration_seconds
        facts["bitrate_kbps"] = round(bits / recording.duration_seconds, 1)
    facts["streams"] = [
        {name: value for name, value in asdict(stream).items() if value is not None}
        for stream in recording.streams
    ]
    return {**facts, "tags": {}}


def _lines(facts: dict[str, Any]) -> str:
    flat = {**{k: v for k, v in facts.items() if k != "tags"}, **facts["tags"]}
    return "".join(f"{name + ':':18}{_shown(value)}\n" for name, value in flat.items())


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    shown = " ".join(map(str, value.values())) if isinstance(value, dict) else str(value)
    return "".join(character if character.isprintable() else " " for character in shown)
