"""Cuts a piece out of a sound or film."""

from typing import ClassVar

from pydantic import Field

from processors.tools.audio_formats import MEDIA_TYPES as AUDIO_TYPES
from processors.tools.audio_formats import AudioFormat, sound_encoding
from processors.tools.base import (
    BaseTool,
    Comparison,
    InvalidOptions,
    OutputFile,
    ToolInput,
    ToolOptions,
    ToolResult,
)
from processors.tools.filenames import output_name
from processors.tools.media import (
    DURATION_SECONDS_MAX,
    INPUT_FORMATS,
    LIMITS,
    NoSound,
    Recording,
    converted,
    probed,
)
from processors.tools.programs import FFMPEG
from processors.tools.video_formats import MEDIA_TYPES as VIDEO_TYPES
from processors.tools.video_formats import VideoFormat, encoding, scaling

AUDIO_BY_CODEC: dict[str, AudioFormat] = {
    "mp3": "mp3",
    "aac": "m4a",
    "vorbis": "ogg",
    "opus": "opus",
    "flac": "flac",
}
BITRATE = 256
"""Of the sound, in kilobits per second: a piece should sound like the whole."""
WEBM_CODECS = frozenset({"vp8", "vp9", "av1"})


class MediaTrimmerOptions(ToolOptions):
    """Which piece."""

    start: float = Field(
        default=0.0,
        ge=0.0,
        le=DURATION_SECONDS_MAX,
        title="Start",
        description="Where the piece begins.",
        examples=[12.5],
        json_schema_extra={"unit": "seconds"},
    )
    duration: float = Field(
        default=30.0,
        gt=0.0,
        le=DURATION_SECONDS_MAX,
        title="Duration",
        description="How long the piece is; it ends with the recording if that is earlier.",
        examples=[10],
        json_schema_extra={"unit": "seconds"},
    )


class MediaTrimmer(BaseTool[MediaTrimmerOptions]):
    """Exact to the frame, because it is encoded anew, in a format like the one that it had."""

    name = "media-trimmer"
    description = "Cuts a piece out of a sound or a film, exact to the frame."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = sorted({*VIDEO_TYPES.values(), *AUDIO_TYPES.values()})
    limits = LIMITS
    group = "media"
    programs = (FFMPEG,)
    extra = "media"
    compares_with = (
        Comparison(
            "FFmpeg",
            "ffmpeg -ss 0 -t 30 -i in.mp4 -c:v libx264 -c:a aac out.mp4",
            (
                "The cut is exact; ffmpeg with `-c copy` is faster and begins at a key frame.",
                "A start behind the end is refused; ffmpeg writes a file with nothing in it.",
            ),
        ),
    )
    Options = MediaTrimmerOptions

    async def process(self, input_data: ToolInput, options: MediaTrimmerOptions) -> ToolResult:
        """Cut the piece."""
        recording = await probed(input_data)
        seconds = _seconds(recording, options)
        path = input_data.folder / "piece"
        suffix, media_type, after = _target(recording)
        before = ("-ss", f"{options.start:.6f}", "-t", f"{options.duration:.6f}")
        await converted(input_data, before, [*after, path], seconds)
        output = OutputFile(output_name(input_data.files, f".{suffix}"), path, media_type)
        return ToolResult((output,), (f"{seconds:.3f} s from {options.start:.3f} s on.",))


def _seconds(recording: Recording, options: MediaTrimmerOptions) -> float:
    whole = recording.duration_seconds
    if whole is None:
        return options.duration
    if options.start >= whole:
        raise InvalidOptions(f"start: the recording is {whole:.3f} s long.", field="start")
    return min(options.duration, whole - options.start)


def _target(recording: Recording) -> tuple[str, str, list[str]]:
    if recording.film is not None:
        video: VideoFormat = "webm" if recording.film.codec in WEBM_CODECS else "mp4"
        picture = ["-map", "0:V:0", "-map", "0:a:0?", "-vf", scaling(None), "-fpsmax", "120"]
        return video, VIDEO_TYPES[video], [*picture, "-sn", "-dn", *encoding(video, "high")]
    sound = next((stream for stream in recording.streams if stream.kind == "audio"), None)
    if sound is None:
        raise NoSound
    audio = AUDIO_BY_CODEC.get(sound.codec, "wav")
    return audio, AUDIO_TYPES[audio], ["-map", "0:a:0", "-vn", *sound_encoding(audio, BITRATE)]
