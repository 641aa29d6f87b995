"""The tools that need ffmpeg; what they make is looked at with ffprobe from Debian."""

import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from processors.tools import media
from processors.tools.audio_formats import MEDIA_TYPES as AUDIO_TYPES
from processors.tools.base import InputFile, Program, ToolInput
from tests.factories import files
from tests.factories.media import film, has_ffmpeg, silent_film, sound
from tests.unit.processors.tools.workbench import Given, Made, made, made_all, refused

pytestmark = pytest.mark.skipif(not has_ffmpeg(), reason="the extra media is not installed")
NEEDS_FFPROBE = pytest.mark.skipif(
    shutil.which("ffprobe") is None, reason="ffprobe (Debian package ffmpeg) is not there"
)


def video(content: bytes, filename: str = "holiday.mp4") -> Given:
    return Given(content, filename, "video/mp4")


def figures(result: Made, folder: Path) -> dict[str, Any]:
    """What ffprobe, which is of another make than the ffmpeg that made it, finds in a file."""
    path = folder / "probed"
    path.write_bytes(result.content)
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", path]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True).stdout
    )
    return found


def codecs(found: dict[str, Any]) -> list[str]:
    return [stream["codec_name"] for stream in found["streams"]]


@NEEDS_FFPROBE
@pytest.mark.parametrize(
    ("target", "codec"),
    [
        ("mp3", "mp3"),
        ("m4a", "aac"),
        ("ogg", "vorbis"),
        ("opus", "opus"),
        ("flac", "flac"),
        ("wav", "pcm_s16le"),
    ],
)
async def test_the_sound_of_a_film_becomes_every_audio_format(
    target: Any, codec: str, tmp_path: Path
) -> None:
    result = await made("audio-converter", video(film()), output_format=target)

    found = figures(result, tmp_path)
    assert (result.name, result.media_type) == (f"holiday.{target}", AUDIO_TYPES[target])
    assert codecs(found) == [codec]
    assert float(found["format"]["duration"]) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("target", list(AUDIO_TYPES))
@pytest.mark.parametrize("bitrate", [32, 320])
async def test_any_bitrate_goes_with_any_sampling(target: str, bitrate: int) -> None:
    given = Given(sound("wav", 0.5, "-ar", "8000"), "call.wav", "audio/wav")

    result = await made("audio-converter", given, output_format=target, bitrate=bitrate)

    assert len(result.content) > 100


@NEEDS_FFPROBE
async def test_channels_and_tags_are_as_wished(tmp_path: Path) -> None:
    given = Given(sound("wav", 1, "-ac", "2", "-metadata", "title=Glocke"), "bell.wav", "audio/wav")

    kept = figures(await made("audio-converter", given), tmp_path)
    less = figures(await made("audio-converter", given, channels="mono", keep_tags=False), tmp_path)

    assert (kept["streams"][0]["channels"], less["streams"][0]["channels"]) == (2, 1)
    assert kept["format"]["tags"]["title"] == "Glocke"
    assert "title" not in less["format"].get("tags", {})


@NEEDS_FFPROBE
@pytest.mark.parametrize(
    ("target", "expected"), [("mp4", ["h264", "aac"]), ("webm", ["vp9", "opus"])]
)
async def test_a_film_becomes_another_format(
    target: str, expected: list[str], tmp_path: Path
) -> None:
    result = await made("video-converter", video(film("matroska")), output_format=target)

    found = figures(result, tmp_path)
    assert (result.name, result.media_type) == (f"holiday.{target}", f"video/{target}")
    assert codecs(found) == expected
    assert float(found["format"]["duration"]) == pytest.approx(1.0, abs=0.15)


@NEEDS_FFPROBE
async def test_a_film_becomes_smaller_slower_and_silent(tmp_path: Path) -> None:
    given = video(film("matroska", 0.5, "131x99", 20, "-pix_fmt", "yuv444p"))

    result = await made(
        "video-converter", given, height_max=64, frame_rate_max=10, sound=False, quality="low"
    )

    (picture,) = figures(result, tmp_path)["streams"]
    assert (picture["width"], picture["height"]) == (84, 64)
    assert picture["avg_frame_rate"] == "10/1"


async def test_a_film_is_never_made_larger() -> None:
    given = video(film())

    assert await made("video-converter", given, height_max=2_000) == await made(
        "video-converter", given
    )


@NEEDS_FFPROBE
@pytest.mark.parametrize(
    ("given", "suffix", "expected"),
    [
        (lambda: film("mp4", 3), "mp4", ["h264", "aac"]),
        (lambda: film("webm", 3), "webm", ["vp9", "opus"]),
        (lambda: sound("mp3", 3), "mp3", ["mp3"]),
        (lambda: sound("wav", 3), "wav", ["pcm_s16le"]),
    ],
    ids=["mp4", "webm", "mp3", "wav"],
)
async def test_a_piece_is_cut_out(
    given: Any, suffix: str, expected: list[str], tmp_path: Path
) -> None:
    result = await made("media-trimmer", video(given(), "long.x"), start=1.5, duration=1)

    found = figures(result, tmp_path)
    assert (result.name, codecs(found)) == (f"long.{suffix}", expected)
    assert float(found["format"]["duration"]) == pytest.approx(1.0, abs=0.15)


async def test_a_start_behind_the_end_is_refused() -> None:
    given = Given(sound("wav"), "bell.wav", "audio/wav")

    error = await refused("media-trimmer", given, start=5)

    assert (error.code, error.field) == ("INVALID_OPTIONS", "start")


def is_like(picture: Image.Image, other: Image.Image) -> bool:
    difference = ImageChops.difference(picture.convert("L"), other.convert("L"))
    return ImageStat.Stat(difference).mean[0] < 12


@pytest.mark.parametrize("target", ["jpeg", "png", "webp"])
async def test_a_film_gives_a_picture(target: str) -> None:
    result = await made("video-thumbnailer", video(film()), output_format=target)

    picture = Image.open(io.BytesIO(result.content))
    assert result.media_type == f"image/{target}"
    assert (picture.format or "").lower() == target
    assert picture.size == (64, 48)


async def test_several_pictures_are_spread_over_the_film() -> None:
    outputs = await made_all("video-thumbnailer", video(film("mp4", 3)), count=3, width=32)

    assert [output.name for output in outputs] == [f"holiday-{n}.jpg" for n in (1, 2, 3)]
    assert {output.picture.size for output in outputs} == {(32, 24)}
    assert len({output.content for output in outputs}) == 3


async def test_the_time_of_a_picture_can_be_given() -> None:
    given = video(film("mp4", 3))

    early = await made("video-thumbnailer", given, at=0, output_format="png")
    late = await made("video-thumbnailer", given, at=2.5, output_format="png")
    last = await made("video-thumbnailer", given, at=2.95, output_format="png")

    assert not is_like(early.picture, late.picture)
    assert last.picture.size == (64, 48)
    assert (await refused("video-thumbnailer", given, at=9)).field == "at"
    assert (await refused("video-thumbnailer", given, at=1, count=2)).field == "count"


HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\nfile 'concat:/etc/passwd'\n"
DASH = b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><Period/></MPD>"
REFUSED: dict[str, tuple[set[str], str, Any]] = {
    "a playlist": ({"UNSUPPORTED_MEDIA_TYPE"}, "video-converter", lambda: HLS),
    "a list of files": ({"UNSUPPORTED_MEDIA_TYPE"}, "video-converter", lambda: CONCAT),
    "a DASH": ({"UNSUPPORTED_MEDIA_TYPE"}, "audio-converter", lambda: DASH),
    "a picture": ({"UNSUPPORTED_MEDIA_TYPE", "CORRUPT_FILE"}, "media-trimmer", files.rgba_png),
    "prose": (
        {"CORRUPT_FILE", "UNSUPPORTED_MEDIA_TYPE"},
        "audio-converter",
        lambda: b"hello " * 99,
    ),
    "nothing": ({"EMPTY_FILE"}, "video-thumbnailer", bytes),
    "a film of no duration": ({"CORRUPT_FILE"}, "video-converter", lambda: silent_film(0)),
    "a film cut short": ({"CORRUPT_FILE"}, "video-converter", lambda: film()[:300]),
    "a film without sound": ({"NO_SOUND"}, "audio-converter", silent_film),
    "a sound without a film": ({"NO_PICTURE"}, "video-converter", sound),
    "a sound without a picture": ({"NO_PICTURE"}, "video-thumbnailer", sound),
    "a huge picture": (
        {"DIMENSIONS_TOO_LARGE"},
        "video-thumbnailer",
        lambda: silent_film(0.1, "7680x4320"),
    ),
    "too many frames": (
        {"FRAME_RATE_TOO_HIGH"},
        "video-converter",
        lambda: silent_film(0.1, "16x16", 1_000),
    ),
}


@pytest.mark.parametrize("content", [HLS, CONCAT, DASH, b"\xef\xbb\xbf\n" + HLS])
@pytest.mark.parametrize(
    "tool", ["audio-converter", "media-trimmer", "video-converter", "video-thumbnailer"]
)
async def test_a_list_of_files_never_reaches_the_program(
    monkeypatch: pytest.MonkeyPatch, tool: str, content: bytes
) -> None:
    monkeypatch.setattr(media, "FFMPEG", Program("none", "no_such_package", "none"))

    assert (await refused(tool, video(content))).code == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize("bad", list(REFUSED))
async def test_what_cannot_be_is_refused_by_its_code(bad: str) -> None:
    codes, tool, content = REFUSED[bad]

    assert (await refused(tool, video(content()))).code in codes


async def test_a_recording_may_not_be_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "DURATION_SECONDS_MAX", 0.5)

    assert (await refused("audio-converter", video(film()))).code == "DURATION_TOO_LONG"


async def test_progress_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[float] = []
    path = tmp_path / "in"
    path.write_bytes(film("mp4", 3))
    folder = tmp_path / "work"
    folder.mkdir()
    file = InputFile(path, "a.mp4", "video/mp4", path.stat().st_size, "")
    given = ToolInput((file,), folder, lambda fraction, _: told.append(fraction))

    await media.converted(given, (), ["-c:v", "libx264", "-f", "mp4", folder / "out"], 3.0)

    assert told[-1] == pytest.approx(1.0, abs=0.1)
