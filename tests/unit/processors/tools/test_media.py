"""The tools for sound, film and subtitles."""

import io
import json
import shutil
import struct
import subprocess
import tempfile
import wave
from pathlib import Path
from typing import Any

import pysubs2
import pytest

from processors.tools import media_info, subtitles
from processors.tools.base import Program
from processors.tools.programs import FFMPEG, path_of
from tests.factories import files
from tests.factories.media import film, has_ffmpeg
from tests.unit.processors.tools.readers import told
from tests.unit.processors.tools.workbench import Given, Made, made, refused

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hello</i> & welcome

2
00:00:03,000 --> 00:00:04,000
Two
lines
"""
VTT = """WEBVTT

00:01.000 --> 00:02.500 align:start
Fish &amp; chips &lt;3

00:03.000 --> 00:04.000
Second
"""
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, \
Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,20,&H00FFFFFF,&H000000FF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,2,2,2,\
10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\i1}Hello{\\i0}
"""


def subtitle(content: str | bytes, filename: str = "film.srt") -> Given:
    body = content.encode() if isinstance(content, str) else content
    return Given(body, filename, "text/plain")


def cues(result: Made) -> list[tuple[int, int, str]]:
    read = pysubs2.SSAFile.from_string(result.text)
    return [(event.start, event.end, event.plaintext) for event in read]


async def convert(content: str | bytes, **options: Any) -> Made:
    return await made("subtitle-converter", subtitle(content), **options)


async def test_srt_alone_becomes_vtt() -> None:
    result = await convert(SRT)

    assert (result.name, result.media_type) == ("film.vtt", "text/vtt")
    assert result.text.startswith("WEBVTT\n")
    assert "00:00:01.000 --> 00:00:02.500\n<i>Hello</i> &amp; welcome" in result.text


async def test_vtt_alone_becomes_srt_with_its_entities_read() -> None:
    result = await convert(VTT)

    assert (result.name, result.media_type) == ("film.srt", "application/x-subrip")
    assert "00:00:01,000 --> 00:00:02,500\nFish & chips <3" in result.text


async def test_ass_alone_becomes_srt_and_says_what_is_lost() -> None:
    result = await convert(ASS)

    assert "<i>Hello</i>" in result.text
    assert "Styles and places on the screen are left out; the format has none." in result.notes


@pytest.mark.parametrize("source", [SRT, VTT, ASS])
@pytest.mark.parametrize("target", ["srt", "vtt", "ass"])
async def test_every_format_becomes_every_other(source: str, target: str) -> None:
    result = await convert(source, output_format=target)

    assert cues(result)[0][:2] == (1_000, 2_500)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not there")
@pytest.mark.parametrize("target", ["srt", "vtt", "ass"])
async def test_ffprobe_finds_the_subtitles_too(target: str) -> None:
    result = await convert(SRT, output_format=target)

    command = ["ffprobe", "-v", "error", "-show_packets", "-of", "json", "{}"]
    packets = json.loads(told(command, result.content))["packets"]
    times = [(float(each["pts_time"]), float(each["duration_time"])) for each in packets]
    assert times == [(1.0, 1.5), (3.0, 1.0)]


async def test_a_shift_moves_everything_and_drops_what_is_over() -> None:
    later = await convert(SRT, shift_seconds=1.25)
    earlier = await convert(SRT, shift_seconds=-3.5)

    assert [cue[:2] for cue in cues(later)] == [(2_250, 3_750), (4_250, 5_250)]
    assert [cue[:2] for cue in cues(earlier)] == [(0, 500)]
    assert "Subtitles that would have ended before the beginning, left out: 1." in earlier.notes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
async def test_the_encoding_is_found_out_and_told(encoding: str) -> None:
    result = await convert(SRT.replace("Hello", "Größe").encode(encoding))

    assert "Größe" in result.text
    assert f"Read as {encoding.removesuffix('-sig')}." in result.notes


async def test_an_encoding_can_be_given() -> None:
    result = await convert(SRT.replace("Hello", "Привет").encode("cp1251"), encoding="windows-1251")

    assert "Привет" in result.text


async def test_a_script_in_subtitles_stays_text() -> None:
    result = await convert(VTT.replace("Second", "&lt;script&gt;x"), output_format="vtt")

    assert "<script" not in result.text
    assert "&lt;script" in result.text


BAD_SUBTITLES: dict[str, tuple[str, str | bytes]] = {
    "prose": ("CORRUPT_FILE", "Dear reader,\nhello.\n"),
    "a NUL": ("CORRUPT_FILE", SRT.replace("Hello", "He\0llo")),
    "a time below zero": ("CORRUPT_FILE", SRT.replace("00:00:03,000", "-00:00:03,000")),
    "no cue": ("CORRUPT_FILE", "WEBVTT\n\n"),
    "a picture": ("CORRUPT_FILE", files.rgba_png()),
    "nothing": ("EMPTY_FILE", ""),
}


@pytest.mark.parametrize("bad", list(BAD_SUBTITLES))
async def test_bad_subtitles_are_refused_by_their_code(bad: str) -> None:
    code, content = BAD_SUBTITLES[bad]

    assert (await refused("subtitle-converter", subtitle(content))).code == code


async def test_subtitles_that_a_shift_moves_away_whole_are_refused() -> None:
    error = await refused("subtitle-converter", subtitle(SRT), shift_seconds=-100)

    assert error.code == "CORRUPT_FILE"


async def test_too_many_subtitles_are_refused_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subtitles, "CUES_MAX", 1)

    assert (await refused("subtitle-converter", subtitle(SRT))).code == "TOO_MANY_CUES"


def sound(seconds: float = 0.5, rate: int = 8_000) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as target:
        target.setnchannels(2)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(struct.pack("<hh", 1_000, -1_000) * int(seconds * rate))
    return stream.getvalue()


def wav(content: bytes, filename: str = "bell.wav") -> Given:
    return Given(content, filename, "audio/x-wav")


async def test_a_sound_is_described() -> None:
    result = await made("media-info", wav(sound()))

    told = json.loads(result.text)
    assert result.name == "bell.json"
    assert told["duration_seconds"] == 0.5
    assert (told["sampling_hz"], told["channels"], told["bits"]) == (8_000, 2, 16)


async def test_a_sound_is_described_in_words() -> None:
    result = await made("media-info", wav(sound()), output_format="text")

    assert "sampling_hz:      8000\n" in result.text


@pytest.mark.parametrize(
    ("code", "content"),
    [
        ("UNSUPPORTED_MEDIA_TYPE", b"Dear reader"),
        ("UNSUPPORTED_MEDIA_TYPE", files.rgba_png()),
        ("EMPTY_FILE", b""),
    ],
)
async def test_what_is_no_sound_is_refused(code: str, content: bytes) -> None:
    assert (await refused("media-info", wav(content))).code == code


NEEDS_FFMPEG = pytest.mark.skipif(not has_ffmpeg(), reason="the extra media is not installed")
MATROSKA = media_info.MATROSKA_MARK + bytes(300)


def with_duration(content: bytes, container: str) -> bytes:
    """The same in a file that was written to its end: only then its header says how long it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film"
        command = [str(path_of(FFMPEG)), "-v", "error", "-i", "pipe:0", "-c", "copy"]
        subprocess.run([*command, "-f", container, path], input=content, check=True)
        return path.read_bytes()


def webm(content: bytes) -> Given:
    return Given(content, "talk.webm", "video/webm")


@NEEDS_FFMPEG
@pytest.mark.parametrize(
    ("container", "codecs"), [("webm", ["vp8", "opus"]), ("matroska", ["h264", "aac"])]
)
async def test_the_streams_of_a_matroska_are_told(container: str, codecs: list[str]) -> None:
    result = await made("media-info", webm(with_duration(film(container), container)))

    told = json.loads(result.text)
    assert told["duration_seconds"] == pytest.approx(1.0, abs=0.1)
    assert told["bitrate_kbps"] > 1
    assert [stream["codec"] for stream in told["streams"]] == codecs
    picture = told["streams"][0]
    assert (picture["width"], picture["height"], picture["frames_per_second"]) == (64, 48, 10)


@NEEDS_FFMPEG
async def test_the_streams_of_a_matroska_are_told_in_words() -> None:
    result = await made("media-info", webm(film("webm")), output_format="text")

    assert "streams:          video vp8 64 48 10.0, audio opus\n" in result.text


@NEEDS_FFMPEG
async def test_a_matroska_without_anything_in_it_is_damaged() -> None:
    assert (await refused("media-info", webm(MATROSKA))).code == "CORRUPT_FILE"


async def test_without_its_extra_a_matroska_is_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_info, "FFMPEG", Program("none", "no_such_package", "none"))

    error = await refused("media-info", webm(MATROSKA))

    assert error.code == "NOT_INSTALLED"
    assert "magictoolbox[media]" in error.message
