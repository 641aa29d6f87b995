"""Tells what is in a sound or film file."""

import json
from typing import Any, ClassVar, Literal

from pydantic import Field

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.filenames import output_name


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
    description = "Tells duration, bitrate, sampling and tags of an audio file or an MP4."
    version = "1.0.0"
    group = "media"
    input_formats: ClassVar[list[str]] = ["audio/*", "video/*", "application/ogg"]
    output_formats: ClassVar[list[str]] = ["application/json", "text/plain"]
    limits = ToolLimits(memory_bytes=512 * MIB)
    modules = ("tinytag", "processors.tools.media_tags")
    compares_with = (
        Comparison(
            "ffprobe",
            "ffprobe -show_format -of json in.mp3",
            (
                "Needs no codec and no other program; ffprobe knows far more formats.",
                "ffprobe also tells the streams of a film; here are its sound and its tags.",
            ),
        ),
    )
    Options = MediaInfoOptions

    async def process(self, input_data: ToolInput, options: MediaInfoOptions) -> ToolResult:
        """Read headers and tags of the one file."""
        from processors.tools.media_tags import told

        facts = told(input_data.files[0])
        path = input_data.folder / "info"
        if options.output_format == "json":
            path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", "utf-8")
            kind, suffix = "application/json", ".json"
        else:
            path.write_text(_lines(facts), "utf-8")
            kind, suffix = "text/plain", ".txt"
        return ToolResult((OutputFile(output_name(input_data.files, suffix), path, kind),))


def _lines(facts: dict[str, Any]) -> str:
    flat = {**{k: v for k, v in facts.items() if k != "tags"}, **facts["tags"]}
    return "".join(f"{name + ':':18}{_shown(value)}\n" for name, value in flat.items())


def _shown(value: Any) -> str:
    shown = ", ".join(value) if isinstance(value, list) else str(value)
    return "".join(character if character.isprintable() else " " for character in shown)
