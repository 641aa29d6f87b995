"""Turns a film into another format, size or quality."""

from typing import ClassVar

from pydantic import Field

from processors.tools.base import (
    BaseTool,
    Comparison,
    OutputFile,
    ToolInput,
    ToolOptions,
    ToolResult,
)
from processors.tools.filenames import output_name
from processors.tools.media import INPUT_FORMATS, LIMITS, NoPicture, converted, probed
from processors.tools.programs import FFMPEG
from processors.tools.video_formats import MEDIA_TYPES, Quality, VideoFormat, encoding, scaling


class VideoConverterOptions(ToolOptions):
    """Which format, how large and how good."""

    output_format: VideoFormat = Field(
        default="mp4",
        title="Output format",
        description="mp4 is H.264 with AAC, webm is VP9 with Opus.",
    )
    quality: Quality = Field(
        default="medium", title="Quality", description="Better takes more room."
    )
    height_max: int | None = Field(
        default=None,
        ge=64,
        le=2_160,
        title="Height",
        description="Make the film no higher than this; it is never made larger.",
        examples=[720],
        json_schema_extra={"unit": "pixels"},
    )
    frame_rate_max: int = Field(
        default=60,
        ge=1,
        le=120,
        title="Frame rate",
        description="Show no more pictures than this.",
        examples=[25],
        json_schema_extra={"unit": "frames per second"},
    )
    sound: bool = Field(default=True, title="Sound", description="Keep the sound of the film.")


class VideoConverter(BaseTool[VideoConverterOptions]):
    """Upright, with square pixels, so that any browser plays it."""

    name = "video-converter"
    description = "Converts a film to MP4 (H.264) or WebM (VP9), smaller if that is wished."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = list(MEDIA_TYPES.values())
    limits = LIMITS
    group = "media"
    programs = (FFMPEG,)
    extra = "media"
    compares_with = (
        Comparison(
            "HandBrake",
            "HandBrakeCLI -i in.mov -o out.mp4",
            (
                "Both use x264; this is faster by default and a little larger.",
                "HandBrake keeps subtitles and several sounds; here are one picture and one sound.",
            ),
        ),
        Comparison(
            "FFmpeg",
            "ffmpeg -i in.mov -c:v libx264 -crf 24 -preset veryfast -movflags +faststart out.mp4",
            (
                "It is ffmpeg, without network, playlists and files beside the one that was given.",
                "Odd sides and pixels that are not square are made fit for every player.",
            ),
        ),
    )
    Options = VideoConverterOptions

    async def process(self, input_data: ToolInput, options: VideoConverterOptions) -> ToolResult:
        """Convert the first picture and the first sound of the one file."""
        recording = await probed(input_data)
        if recording.film is None:
            raise NoPicture
        path = input_data.folder / "film"
        after = [
            *("-map", "0:V:0", "-vf", scaling(options.height_max)),
            *("-fpsmax", str(options.frame_rate_max)),
            *(("-map", "0:a:0?") if options.sound else ("-an",)),
            *("-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"),
            *encoding(options.output_format, options.quality),
        ]
        await converted(input_data, (), [*after, path], recording.duration_seconds)
        others = len(recording.streams) - 1 - recording.has_sound
        notes = (f"Further streams, such as subtitles, left out: {others}.",) if others else ()
        name = output_name(input_data.files, f".{options.output_format}")
        output = OutputFile(name, path, MEDIA_TYPES[options.output_format])
        return ToolResult((output,), notes)
