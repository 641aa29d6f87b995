"""Takes still pictures out of a film."""

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from processors.tools.base import (
    BaseTool,
    Comparison,
    CorruptFile,
    InvalidOptions,
    OutputFile,
    ToolInput,
    ToolOptions,
)
from processors.tools.filenames import output_name
from processors.tools.media import (
    DURATION_SECONDS_MAX,
    INPUT_FORMATS,
    LIMITS,
    NoPicture,
    converted,
    probed,
)
from processors.tools.programs import FFMPEG

PICTURES_MAX = 20
FIRST_PLACE = 0.1
"""Where one picture is taken, of the whole: films often begin in the dark."""
MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}
ENCODERS = {
    "jpeg": ("-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p", "-f", "image2pipe"),
    "png": ("-c:v", "png", "-f", "image2pipe"),
    "webp": ("-c:v", "libwebp", "-quality", "80", "-f", "webp"),
}


class VideoThumbnailerOptions(ToolOptions):
    """Which pictures."""

    at: float | None = Field(
        default=None,
        ge=0.0,
        le=DURATION_SECONDS_MAX,
        title="Time",
        description="When in the film; if unset, after a tenth of it, or spread evenly.",
        examples=[2.5],
        json_schema_extra={"unit": "seconds"},
    )
    count: int = Field(
        default=1,
        ge=1,
        le=PICTURES_MAX,
        title="Count",
        description="How many pictures, evenly spread; with a time there is one only.",
        examples=[5],
        json_schema_extra={"unit": "pictures"},
    )
    width: int = Field(
        default=640,
        ge=16,
        le=4_096,
        title="Width",
        description="Make the pictures no wider than this; they are never made larger.",
        examples=[320],
        json_schema_extra={"unit": "pixels"},
    )
    output_format: Literal["jpeg", "png", "webp"] = Field(
        default="jpeg", title="Output format", description="Of the pictures."
    )


class VideoThumbnailer(BaseTool[VideoThumbnailerOptions]):
    """One picture or several, upright."""

    name = "video-thumbnailer"
    description = "Takes one or several still pictures out of a film."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = list(MEDIA_TYPES.values())
    limits = replace(LIMITS, wall_seconds=180.0, outputs_max=PICTURES_MAX)
    group = "media"
    programs = (FFMPEG,)
    extra = "media"
    compares_with = (
        Comparison(
            "ffmpegthumbnailer",
            "ffmpegthumbnailer -i in.mp4 -o out.jpg -s 640",
            (
                "Both take a picture after a tenth of the film.",
                "Several pictures are one job; ffmpegthumbnailer is called for each.",
            ),
        ),
    )
    Options = VideoThumbnailerOptions

    async def process(
        self, input_data: ToolInput, options: VideoThumbnailerOptions
    ) -> list[OutputFile]:
        """Take the pictures."""
        if options.at is not None and options.count > 1:
            raise InvalidOptions("count: with a time there is one picture only.", field="count")
        recording = await probed(input_data)
        if recording.film is None:
            raise NoPicture
        outputs = []
        places = _places(options, recording.duration_seconds)
        for number, place in enumerate(places, 1):
            outputs.append(await _taken(input_data, options, place, number))
            input_data.progress(number / len(places), f"{number} of {len(places)}")
        return outputs


def _places(options: VideoThumbnailerOptions, duration: float | None) -> list[float]:
    if options.at is not None:
        if duration is not None and options.at >= duration:
            raise InvalidOptions(f"at: the film is {duration:.3f} s long.", field="at")
        return [options.at]
    whole = duration or 0.0
    if options.count == 1:
        return [whole * FIRST_PLACE]
    return [whole * (number + 0.5) / options.count for number in range(options.count)]


async def _taken(
    input_data: ToolInput, options: VideoThumbnailerOptions, place: float, number: int
) -> OutputFile:
    path = input_data.folder / f"picture-{number}"
    after = [
        *("-map", "0:V:0", "-an", "-frames:v", "1"),
        *("-vf", f"scale=w='max(1,trunc(min({options.width},iw*sar)))':h=-1,setsar=1"),
        *ENCODERS[options.output_format],
    ]
    # The last picture may begin before the time that is asked for: then the first one is taken.
    for start in dict.fromkeys((place, 0.0)):
        await converted(input_data, ("-ss", f"{start:.6f}"), [*after, path], None)
        if path.exists() and path.stat().st_size:
            break
    else:
        raise CorruptFile("No picture of the film can be decoded.")
    suffix = SUFFIXES[options.output_format]
    counted = f"-{number}" if options.count > 1 else ""
    name = output_name(input_data.files, f"{counted}{suffix}")
    return OutputFile(name, path, MEDIA_TYPES[options.output_format])
