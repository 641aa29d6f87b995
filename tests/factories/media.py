"""Sounds and films for tests, made by ffmpeg; each is made once."""

import subprocess
from functools import cache

from processors.tools.programs import FFMPEG, path_of

PICTURE = "testsrc=duration={seconds}:size={size}:rate={rate}"
SOUND = "sine=frequency=440:duration={seconds}:sample_rate=44100"


def has_ffmpeg() -> bool:
    """Whether the extra that brings ffmpeg is installed."""
    return path_of(FFMPEG) is not None


@cache
def film(
    container: str = "mp4", seconds: float = 1, size: str = "64x48", rate: int = 10, *extra: str
) -> bytes:
    """A test picture with a tone."""
    picture = PICTURE.format(seconds=seconds, size=size, rate=rate)
    codecs = (
        ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus")
        if container == "webm"
        else ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
    )
    flags = ("-movflags", "frag_keyframe+empty_moov") if container == "mp4" else ()
    inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", SOUND.format(seconds=seconds))
    return _made(*inputs, *codecs, *extra, *flags, "-f", container)


@cache
def silent_film(seconds: float = 1, size: str = "64x48", rate: int = 10) -> bytes:
    """A test picture without a tone."""
    picture = PICTURE.format(seconds=seconds, size=size, rate=rate)
    return _made("-f", "lavfi", "-i", picture, "-c:v", "mpeg4", "-f", "avi")


@cache
def sound(container: str = "mp3", seconds: float = 1, *extra: str) -> bytes:
    """A tone."""
    return _made("-f", "lavfi", "-i", SOUND.format(seconds=seconds), *extra, "-f", container)


def _made(*arguments: str) -> bytes:
    command = [str(path_of(FFMPEG)), "-v", "error", "-nostdin", *arguments, "pipe:1"]
    return subprocess.run(command, check=True, capture_output=True).stdout
