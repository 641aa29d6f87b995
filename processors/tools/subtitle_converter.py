"""Turns subtitles into another format, and moves them in time."""

from typing import ClassVar, Literal

from pydantic import Field

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)

SubtitleFormat = Literal["srt", "vtt", "ass"]
MEDIA_TYPES: dict[SubtitleFormat, str] = {
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "ass": "text/x-ssa",
}
SHIFT_SECONDS_MAX = 86_400.0


class SubtitleConverterOptions(ToolOptions):
    """Which format, and how far to move."""

    output_format: SubtitleFormat | None = Field(
        default=None,
        title="Output format",
        description="If unset: SRT becomes VTT; VTT and ASS become SRT.",
        examples=["vtt"],
    )
    shift_seconds: float = Field(
        default=0.0,
        ge=-SHIFT_SECONDS_MAX,
        le=SHIFT_SECONDS_MAX,
        title="Shift",
        description="Show everything so much later, or earlier if it is negative.",
        examples=[-1.5],
        json_schema_extra={"unit": "seconds"},
    )
    encoding: Literal["detect", "utf-8", "utf-16", "windows-1252", "windows-1251"] = Field(
        default="detect",
        title="Encoding",
        description="Of the file that is read; UTF-8 is written.",
        examples=["windows-1251"],
    )


class SubtitleConverter(BaseTool[SubtitleConverterOptions]):
    """Keeps italics, bold and line breaks; what a format cannot hold is said."""

    name = "subtitle-converter"
    description = "Converts subtitles between SRT, WebVTT and ASS, and moves them in time."
    version = "1.0.0"
    group = "documents"
    input_formats: ClassVar[list[str]] = [
        *MEDIA_TYPES.values(),
        *("text/plain", "text/x-ass", "application/x-ass"),
    ]
    output_formats: ClassVar[list[str]] = list(MEDIA_TYPES.values())
    limits = ToolLimits(memory_bytes=512 * MIB)
    modules = ("pysubs2", "processors.tools.subtitles")
    compares_with = (
        Comparison(
            "FFmpeg",
            "ffmpeg -i in.srt out.vtt",
            (
                "The encoding is found out and told; ffmpeg has to be told by -sub_charenc.",
                "A shift is one option; with ffmpeg it is -itsoffset before the input.",
                "ffmpeg can also take subtitles out of a video and put them in.",
            ),
        ),
    )
    Options = SubtitleConverterOptions

    async def process(self, input_data: ToolInput, options: SubtitleConverterOptions) -> ToolResult:
        """Convert the one file."""
        from processors.tools.subtitles import converted

        return converted(input_data, options.output_format, options.shift_seconds, options.encoding)
