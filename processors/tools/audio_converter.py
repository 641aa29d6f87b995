"""Turns a sound, or the sound of a film, into another audio format."""

from typing import ClassVar, Literal

from pydantic import Field

from processors.tools.audio_formats import MEDIA_TYPES, AudioFormat, sound_encoding
from processors.tools.base import BaseTool, Comparison, OutputFile, ToolInput, ToolOptions
from processors.tools.filenames import output_name
from processors.tools.media import INPUT_FORMATS, LIMITS, NoSound, converted, probed
from processors.tools.programs import FFMPEG


class AudioConverterOptions(ToolOptions):
    """Which format, and how good."""

    output_format: AudioFormat = Field(
        default="mp3",
        title="Output format",
        description="m4a is AAC, ogg is Vorbis; flac and wav lose nothing.",
    )
    bitrate: int = Field(
        default=192,
        ge=32,
        le=320,
        title="Bitrate",
        description="More sounds better and takes more room; flac and wav have none, opus 256.",
        examples=[128],
        json_schema_extra={"unit": "kilobits per second"},
    )
    channels: Literal["keep", "mono", "stereo"] = Field(
        default="keep", title="Channels", description="Mix down to one or two, or keep them."
    )
    keep_tags: bool = Field(
        default=True, title="Tags", description="Keep title, artist and other tags."
    )


class AudioConverter(BaseTool[AudioConverterOptions]):
    """One sound in, one sound out; covers are left out."""

    name = "audio-converter"
    description = "Converts sound to MP3, AAC, Vorbis, Opus, FLAC or WAV, also out of a film."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = sorted(set(MEDIA_TYPES.values()))
    limits = LIMITS
    group = "media"
    programs = (FFMPEG,)
    extra = "media"
    compares_with = (
        Comparison(
            "FFmpeg",
            "ffmpeg -i in.wav -b:a 192k out.mp3",
            (
                "It is ffmpeg, without network, playlists and files beside the one that was given.",
                "The same sound gives the same bytes: nothing of time or version is written.",
                "ffmpeg itself knows hundreds of formats and filters.",
            ),
        ),
    )
    Options = AudioConverterOptions

    async def process(
        self, input_data: ToolInput, options: AudioConverterOptions
    ) -> list[OutputFile]:
        """Convert the first sound of the one file."""
        recording = await probed(input_data)
        if not recording.has_sound:
            raise NoSound
        path = input_data.folder / "sound"
        after = ["-map", "0:a:0", "-vn", *sound_encoding(options.output_format, options.bitrate)]
        if options.channels != "keep":
            after += ["-ac", "1" if options.channels == "mono" else "2"]
        after += ["-map_metadata", "0" if options.keep_tags else "-1", "-map_chapters", "-1"]
        await converted(input_data, (), [*after, path], recording.duration_seconds)
        name = output_name(input_data.files, f".{options.output_format}")
        return [OutputFile(name, path, MEDIA_TYPES[options.output_format])]
