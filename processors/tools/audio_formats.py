"""The formats in which sound is made, and how well."""

from bisect import bisect_right
from typing import Literal

AudioFormat = Literal["mp3", "m4a", "ogg", "opus", "flac", "wav"]
MEDIA_TYPES: dict[AudioFormat, str] = {
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/wav",
}
ENCODERS: dict[AudioFormat, tuple[str, ...]] = {
    "mp3": ("-c:a", "libmp3lame", "-f", "mp3"),
    "m4a": ("-c:a", "aac", "-movflags", "+faststart", "-f", "ipod"),
    "ogg": ("-c:a", "libvorbis", "-f", "ogg"),
    "opus": ("-c:a", "libopus", "-f", "opus"),
    "flac": ("-c:a", "flac", "-f", "flac"),
    "wav": ("-c:a", "pcm_s16le", "-f", "wav"),
}
OPUS_BITRATE_MAX = 256
VORBIS_BITRATES = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
"""What the qualities 0, 1, … of Vorbis come to with two channels, in kilobits per second."""


def sound_encoding(target: AudioFormat, bitrate: int) -> list[str]:
    """The arguments of ffmpeg that encode sound; a bitrate is in kilobits per second."""
    chosen: list[str] = []
    if target == "ogg":
        # By its quality: by its bitrate libvorbis refuses some that the sampling does not allow.
        chosen = ["-q:a", str(max(bisect_right(VORBIS_BITRATES, bitrate) - 1, -1))]
    elif target == "opus":
        chosen = ["-b:a", f"{min(bitrate, OPUS_BITRATE_MAX)}k"]
    elif target in ("mp3", "m4a"):
        chosen = ["-b:a", f"{bitrate}k"]
    return [*ENCODERS[target], *chosen]
