"""Runs ffmpeg on the files of strangers: what may be read, how large it may be, how far it is.

Only containers that hold their own data are opened, whatever the file calls itself: no playlist, no
list of other files, no device, no address. What a header promises is checked before anything is
decoded, and held while it is.
"""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from processors.tools.base import (
    MIB,
    CorruptFile,
    DimensionsTooLarge,
    DocumentedError,
    ResourceLimitExceeded,
    ToolInput,
    ToolLimits,
    ToolProcessingError,
    UnsupportedMediaType,
)
from processors.tools.programs import FFMPEG, ProgramFailed, run_program

CONTAINERS = (
    "mov,matroska,webm,avi,flv,asf,mpeg,mpegts,mp3,wav,w64,flac,ogg,aac,ac3,aiff,amr,au,caf,ape,wv"
)
INPUT_FORMATS: list[str] = ["audio/*", "video/*", "application/ogg"]
PIXELS_MAX = 4096 * 2304
FRAMES_PER_SECOND_MAX = 240
DURATION_SECONDS_MAX = 4 * 3_600.0
THREADS = 2
LIMITS = ToolLimits(wall_seconds=900.0, cpu_seconds=1_200, memory_bytes=1536 * MIB, processes_max=4)
READING: tuple[str, ...] = (
    *("-hide_banner", "-nostdin", "-nostats", "-v", "info"),
    *("-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS),
)
REPRODUCIBLE: tuple[str, ...] = ("-fflags", "+bitexact", "-flags:v", "+bitexact")
DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
STREAM = re.compile(r"^  Stream #0:\d+.*?: (Video|Audio|Subtitle): (\w+)")
SIZE = re.compile(r", (\d+)x(\d+)\b")
RATE = re.compile(r", (\d+(?:\.\d+)?)(k?) fps\b")
COVER = "(attached pic)"
PLAYLISTS = (b"#extm3u", b"ffconcat", b"<", b"[playlist]", b"[reference]", b"v=0", b"rtsp")
"""How the files begin, in lower case, that name other files instead of holding sound or film."""
HEAD_BYTES = 1024
OUT_OF_MEMORY = ("Cannot allocate memory", "No space left", "File too large")


class DurationTooLong(DocumentedError):
    """The recording is longer than the tool takes."""

    CODE = "DURATION_TOO_LONG"


class NoSound(DocumentedError):
    """The file holds no sound."""

    CODE = "NO_SOUND"


class NoPicture(DocumentedError):
    """The file holds no moving picture."""

    CODE = "NO_PICTURE"


class FrameRateTooHigh(DocumentedError):
    """The film has more frames a second than the tool takes."""

    CODE = "FRAME_RATE_TOO_HIGH"


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a recording."""

    kind: str
    codec: str
    width: int | None = None
    height: int | None = None
    frames_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """What the header of a sound or film says."""

    duration_seconds: float | None
    streams: tuple[Stream, ...]

    @property
    def has_sound(self) -> bool:
        """Whether there is anything to hear."""
        return any(stream.kind == "audio" for stream in self.streams)

    @property
    def film(self) -> Stream | None:
        """The first stream of moving pictures."""
        return next((stream for stream in self.streams if stream.kind == "video"), None)


async def probed(input_data: ToolInput) -> Recording:
    """Read the header of the one file and check what it promises."""
    recording = await header_of(input_data)
    _check(recording)
    return recording


async def header_of(input_data: ToolInput) -> Recording:
    """What the header of the one file says, whatever it promises."""
    path = input_data.files[0].path
    _refuse_playlist(path)
    lines: list[str] = []
    try:
        # Without an output it tells what is in the file, and ends with an error that says so.
        await run_program(
            FFMPEG,
            [*READING, "-i", f"file:{path}"],
            input_data,
            on_line=lines.append,
            lines_of="stderr",
        )
    except ProgramFailed as error:
        if "At least one output file" not in error.printed:
            raise explained(error) from None
    return Recording(_duration(lines), tuple(_streams(lines)))


async def converted(
    input_data: ToolInput,
    before: Sequence[str],
    after: Sequence[str | Path],
    seconds: float | None,
) -> None:
    """Run ffmpeg with arguments before and after the input; `seconds` is how much comes out."""

    def tell(line: str) -> None:
        name, _, value = line.partition("=")
        if name == "out_time_us" and value.isdigit() and seconds:
            done = int(value) / 1_000_000
            input_data.progress(min(done / seconds, 1.0), f"{done:.0f} s of {seconds:.0f} s")

    source = f"file:{input_data.files[0].path}"
    arguments = [
        *(*READING, "-threads", str(THREADS), "-max_pixels", str(PIXELS_MAX), *before),
        *("-i", source, "-progress", "pipe:1"),
        *("-threads", str(THREADS), "-filter_threads", "1", "-t", str(DURATION_SECONDS_MAX)),
        *(*REPRODUCIBLE, "-y", *after),
    ]
    try:
        await run_program(FFMPEG, arguments, input_data, on_line=tell)
    except ProgramFailed as error:
        raise explained(error) from None


def explained(error: ProgramFailed) -> ToolProcessingError:
    """What it means for the file's owner that ffmpeg failed; what it printed is not passed on."""
    if any(sign in error.printed for sign in OUT_OF_MEMORY):
        return ResourceLimitExceeded()
    if "not on whitelist" in error.printed or "not allowed" in error.printed:
        return UnsupportedMediaType("The file is no recording of a format that the tool reads.")
    return CorruptFile("The file is damaged, or no sound or film.", stack=error.stack)


def _refuse_playlist(path: Path) -> None:
    """What names other files is refused before ffmpeg reads any of it."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES).removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if head.startswith(PLAYLISTS):
        raise UnsupportedMediaType("Playlists and lists of files are not taken.")


def _duration(lines: list[str]) -> float | None:
    for line in lines:
        if match := DURATION.match(line):
            hours, minutes, seconds = match.groups()
            return int(hours) * 3_600 + int(minutes) * 60 + float(seconds)
    return None


def _streams(lines: list[str]) -> list[Stream]:
    found = []
    for line in lines:
        match = STREAM.match(line)
        if match is not None and COVER not in line:
            size, rate = SIZE.search(line), RATE.search(line)
            found.append(
                Stream(
                    kind=match[1].lower(),
                    codec=match[2],
                    width=int(size[1]) if size else None,
                    height=int(size[2]) if size else None,
                    frames_per_second=_rate(rate) if rate else None,
                )
            )
    return found


def _rate(match: re.Match[str]) -> float:
    return float(match[1]) * (1_000 if match[2] else 1)


def _check(recording: Recording) -> None:
    if not recording.streams:
        raise CorruptFile("The file holds neither sound nor film.")
    if recording.duration_seconds == 0:
        raise CorruptFile("The recording has no duration.")
    if (recording.duration_seconds or 0) > DURATION_SECONDS_MAX:
        raise DurationTooLong(f"The recording is longer than {DURATION_SECONDS_MAX:.0f} s.")
    for stream in recording.streams:
        if (stream.width or 0) * (stream.height or 0) > PIXELS_MAX:
            raise DimensionsTooLarge(
                f"The film is {stream.width} × {stream.height}; {PIXELS_MAX} pixels are allowed."
            )
        if (stream.frames_per_second or 0) > FRAMES_PER_SECOND_MAX:
            raise FrameRateTooHigh(
                f"The film has {stream.frames_per_second:.0f} frames a second;"
                f" {FRAMES_PER_SECOND_MAX} are allowed."
            )
