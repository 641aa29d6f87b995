"""The tools for tables, documents, archives and media, behind all walls of this machine."""

import io
import wave
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import segno

from processors.sandbox.run import ToolOutcome, ToolRun
from processors.sandbox.runner import INSTALLED, Sandbox
from processors.tools.base import InputFile, ToolProcessingError
from processors.tools.office_files import DOCX
from processors.tools.registry import installed
from tests.factories.media import film, has_ffmpeg
from tests.factories.office import docx, paragraph
from tests.integration.processors.sandbox.boxes import started

OCTETS = "application/octet-stream"
Case = tuple[bytes, str, dict[str, Any]]


@pytest_asyncio.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with started(INSTALLED, without=()) as box:
        yield box


def zipped(**contents: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return stream.getvalue()


def qr_code(text: str) -> bytes:
    stream = io.BytesIO()
    segno.make(text).save(stream, kind="png", scale=4)
    return stream.getvalue()


def sound() -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(8_000)
        target.writeframes(bytes(8_000))
    return stream.getvalue()


SRT = b"1\n00:00:01,000 --> 00:00:02,000\nHello\n"

REAL: dict[str, Case] = {
    "archive-creator": (b"hello", "text/plain", {"output_format": "7z", "password": "x"}),
    "archive-extractor": (zipped(a=b"hello"), "application/zip", {}),
    "archive-lister": (zipped(a=b"hello"), "application/zip", {}),
    "barcode-maker": (b"HELLO", "text/plain", {}),
    "code-reader": (qr_code("hello"), "image/png", {}),
    "document-converter": (b"# Hello\n", "text/plain", {}),
    "docx-to-markdown": (docx(paragraph("Hello")), DOCX, {}),
    "markdown-to-html": (b"# Hello\n", "text/plain", {}),
    "markdown-to-pdf": (b"# Hello\n", "text/plain", {}),
    "media-info": (sound(), "audio/x-wav", {}),
    "qr-maker": (b"hello", "text/plain", {}),
    "table-converter": (b"a,b\n1,2.50\n", "text/csv", {"output_format": "parquet"}),
    "subtitle-converter": (SRT, "text/plain", {}),
}
FILMS: dict[str, dict[str, Any]] = {
    "audio-converter": {"output_format": "opus"},
    "media-trimmer": {"start": 0.2, "duration": 0.5},
    "video-converter": {"output_format": "webm"},
    "video-thumbnailer": {},
}
BAD: dict[str, tuple[str, Case]] = {
    "archive-extractor": ("ARCHIVE_BOMB", (zipped(a=bytes(40 * 1024**2)), OCTETS, {})),
}


async def outcome(
    sandbox: Sandbox, folder: Path, tool: str, case: Case, **limits_of_this_run: Any
) -> ToolOutcome:
    content, media_type, options = case
    (folder / "1").write_bytes(content)
    (folder / "work").mkdir()
    file = InputFile(folder / "1", "a.x", media_type, len(content), "")
    limits = replace(installed().get(tool).limits, **limits_of_this_run)
    run = ToolRun(tool, options, (file,), folder / "work", limits)
    return await sandbox.run(run, lambda *_: None)


@pytest.mark.parametrize("tool", list(REAL))
async def test_a_tool_works_behind_all_walls(sandbox: Sandbox, tmp_path: Path, tool: str) -> None:
    made = await outcome(sandbox, tmp_path, tool, REAL[tool])

    assert len(made.outputs) == 1
    assert made.peak_rss_bytes is not None
    assert made.peak_rss_bytes < installed().get(tool).limits.memory_bytes


@pytest.mark.skipif(not has_ffmpeg(), reason="the extra media is not installed")
@pytest.mark.parametrize("tool", list(FILMS))
async def test_a_tool_for_films_works_behind_all_walls(
    sandbox: Sandbox, tmp_path: Path, tool: str
) -> None:
    made = await outcome(sandbox, tmp_path, tool, (film(), "video/mp4", FILMS[tool]))

    assert len(made.outputs) == 1
    assert made.peak_rss_bytes is not None
    assert made.peak_rss_bytes < installed().get(tool).limits.memory_bytes


@pytest.mark.skipif(not has_ffmpeg(), reason="the extra media is not installed")
async def test_a_matroska_is_told_behind_all_walls(sandbox: Sandbox, tmp_path: Path) -> None:
    made = await outcome(sandbox, tmp_path, "media-info", (film("webm"), "video/webm", {}))

    assert b'"vp8"' in made.outputs[0].path.read_bytes()


@pytest.mark.parametrize("name", ["things.7z", "things.tar.zst"])
async def test_what_was_packed_comes_out_again(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    for folder in (there, back):
        folder.mkdir()
    options = {"output_format": name.removeprefix("things.")}
    packed = await outcome(sandbox, there, "archive-creator", (b"hello", "text/plain", options))

    content = packed.outputs[0].path.read_bytes()
    made = await outcome(sandbox, back, "archive-extractor", (content, OCTETS, {}))

    assert made.outputs[0].path.read_bytes() == b"hello"


@pytest.mark.parametrize("tool", list(BAD))
async def test_a_bad_file_is_refused_from_behind_the_walls(
    sandbox: Sandbox, tmp_path: Path, tool: str
) -> None:
    code, case = BAD[tool]

    with pytest.raises(ToolProcessingError) as caught:
        await outcome(sandbox, tmp_path, tool, case)

    assert caught.value.code == code
