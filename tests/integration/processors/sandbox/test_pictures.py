"""The tools for pictures and PDF, behind all walls of this machine."""

import io
import itertools
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pikepdf
import pytest
import pytest_asyncio

from processors.sandbox.run import ToolOutcome, ToolRun
from processors.sandbox.runner import INSTALLED, Sandbox
from processors.tools.base import MIB, InputFile, ToolProcessingError
from processors.tools.extras import is_installed
from processors.tools.registry import installed
from tests.factories import files
from tests.integration.processors.sandbox.aborting_tools import RawSvg
from tests.integration.processors.sandbox.boxes import started

REGISTRY = installed()
ABORTING = "tests.integration.processors.sandbox.aborting_tools:registry"
PDF = "application/pdf"
Case = tuple[bytes, str, dict[str, Any]]


@pytest_asyncio.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with started(INSTALLED, without=()) as box:
        yield box


JPEG, PNG = "image/jpeg", "image/png"
PHOTO = files.photo_jpeg(320, 240)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="50"><text y="9">A</text></svg>'
REAL: dict[str, Case] = {
    "heic-converter": (PHOTO, JPEG, {"output_format": "heic"}),
    "image-cropper": (files.rgba_png(), PNG, {}),
    "image-optimizer": (files.encoded(files.photo(320, 240), "PNG"), PNG, {}),
    "image-watermark": (PHOTO, JPEG, {}),
    "images-to-pdf": (PHOTO, JPEG, {"page_size": "a4"}),
    "metadata-stripper": (files.photo_jpeg(320, 240, orientation=6, gps=True), JPEG, {}),
    "ocr": (files.simple_pdf("Some words", 1), PDF, {"output_format": "pdf"}),
    "pdf-compressor": (files.simple_pdf(pages=3), PDF, {"images": "recompress"}),
    "pdf-decrypter": (files.simple_pdf(password="x"), PDF, {"password": "x"}),
    "pdf-encrypter": (files.simple_pdf(), PDF, {"user_password": "x"}),
    "pdf-rotator": (files.simple_pdf(), PDF, {}),
    "pdf-splitter": (files.simple_pdf(pages=3), PDF, {}),
    "pdf-to-images": (files.simple_pdf(pages=3), PDF, {}),
    "svg-to-image": (SVG % b"100", "image/svg+xml", {}),
}


async def outcome(sandbox: Sandbox, folder: Path, tool: str, case: Case) -> ToolOutcome:
    content, media_type, options = case
    (folder / "1").write_bytes(content)
    (folder / "work").mkdir()
    file = InputFile(folder / "1", "a.x", media_type, len(content), "")
    run = ToolRun(tool, options, (file,), folder / "work", REGISTRY.get(tool).limits)
    return await sandbox.run(run, lambda *_: None)


def available(tool: str) -> Any:
    reason = {offer.name: offer.unavailable_reason for offer in REGISTRY.offers()}[tool]
    return pytest.param(tool, marks=pytest.mark.skipif(reason is not None, reason=reason or "-"))


@pytest.mark.parametrize("tool", [available(tool) for tool in REAL])
async def test_a_tool_works_behind_all_walls(sandbox: Sandbox, tmp_path: Path, tool: str) -> None:
    made = await outcome(sandbox, tmp_path, tool, REAL[tool])

    assert made.outputs
    assert made.peak_rss_bytes is not None
    assert made.peak_rss_bytes < REGISTRY.get(tool).limits.memory_bytes


def flate_bomb() -> bytes:
    """A PDF of some kilobytes whose page unpacks to more than a gigabyte."""
    packer = zlib.compressobj(9)
    head = packer.compress(b" ") + packer.flush(zlib.Z_FULL_FLUSH)
    # Without a look back, so it can be repeated.
    block = packer.compress(b" " * 1024**2) + packer.flush(zlib.Z_FULL_FLUSH)
    stream = io.BytesIO()
    with pikepdf.open(io.BytesIO(files.simple_pdf())) as document:
        flate = pikepdf.Name.FlateDecode
        packed = zlib.compress(head + block * 1_500 + packer.flush())
        document.pages[0].Contents.write(packed, filter=pikepdf.Array([flate, flate]))
        document.save(
            stream, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none
        )
    return stream.getvalue()


UNREAD = ("image-converter", "image-optimizer", "images-to-pdf", "metadata-stripper")
UNREAD_RSS_MAX = 512 * MIB
"""Half of what the pixels would unpack to."""


@pytest.mark.parametrize("tool", [available(tool) for tool in UNREAD])
async def test_pixels_beyond_those_that_a_picture_shows_take_no_memory(
    sandbox: Sandbox, tmp_path: Path, tool: str
) -> None:
    made = await outcome(sandbox, tmp_path, tool, (files.overfull_png(), PNG, {}))

    assert made.outputs
    assert made.peak_rss_bytes is not None
    assert made.peak_rss_bytes < UNREAD_RSS_MAX


LAUGHS = b'<!DOCTYPE svg [<!ENTITY a "ha">%s]><svg xmlns="http://www.w3.org/2000/svg">&z;</svg>' % (
    b"".join(
        b'<!ENTITY %c "%s">' % (after, b"&%c;" % before * 10)
        for before, after in itertools.pairwise(range(ord("a"), ord("z") + 1))
    )
)
BAD: dict[str, tuple[str, str, Case]] = {
    "a flate bomb, read": ("RESOURCE_LIMIT_EXCEEDED", "pdf-to-text", (flate_bomb(), PDF, {})),
    "a shut document": (
        *("WRONG_PASSWORD", "pdf-decrypter"),
        (files.simple_pdf(password="x"), PDF, {"password": "y"}),
    ),
    "a huge picture": (
        *("DIMENSIONS_TOO_LARGE", "metadata-stripper"),
        (files.png_header(100_000, 100_000), PNG, {}),
    ),
    "a huge drawing": (
        *("DIMENSIONS_TOO_LARGE", "svg-to-image"),
        ((SVG % b"1e6").replace(b'"50"', b'"1e6"'), "image/svg+xml", {}),
    ),
    "billion laughs": ("CORRUPT_FILE", "svg-to-image", (LAUGHS, "image/svg+xml", {})),
    "10,000 frames": (
        *("TOO_MANY_FRAMES", "image-cropper"),
        (files.sparse_gif(2, 2, 10_000), "image/gif", {}),
    ),
}


@pytest.mark.parametrize("bad", list(BAD))
async def test_a_bad_file_is_refused_for_good_from_behind_the_walls(
    sandbox: Sandbox, tmp_path: Path, bad: str
) -> None:
    code, tool, case = BAD[bad]
    if tool not in {each.name for each in REGISTRY.available()}:
        pytest.skip(f"{tool} lacks its extra")

    with pytest.raises(ToolProcessingError) as caught:
        await outcome(sandbox, tmp_path, tool, case)

    assert (caught.value.code, caught.value.permanent) == (code, True)


@pytest.mark.skipif(not is_installed("resvg_py"), reason="the extra images is not there")
async def test_a_library_that_aborts_its_process_ends_one_run_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with started(ABORTING, without=()) as box:
        for number, (side, code) in enumerate([(b"1e6", "TOOL_CRASHED"), (b"100", None)]):
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "1").write_bytes((SVG % side).replace(b'"50"', b'"%s"' % side))
            (folder / "work").mkdir()
            file = InputFile(folder / "1", "a.svg", "image/svg+xml", 200, "")
            run = ToolRun("raw-svg", {}, (file,), folder / "work", RawSvg.limits)
            if code is None:
                assert (await box.run(run, lambda *_: None)).outputs
                continue
            with pytest.raises(ToolProcessingError) as caught:
                await box.run(run, lambda *_: None)
            assert caught.value.code == code
            assert "SIGABRT" in caught.value.message
