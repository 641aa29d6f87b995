"""The tools for pictures and PDF, behind all walls of this machine."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from processors.sandbox.run import ToolOutcome, ToolRun
from processors.sandbox.runner import INSTALLED, Sandbox
from processors.tools.base import (
    BaseTool,
    InputFile,
    OutputFile,
    ToolInput,
    ToolOptions,
    ToolProcessingError,
)
from processors.tools.extras import is_installed
from processors.tools.no_op import NoOp
from processors.tools.registry import Registry, installed
from tests.factories import files
from tests.integration.processors.sandbox.boxes import started

REGISTRY = installed()
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


class RawSvg(BaseTool[ToolOptions]):
    """Draws an SVG without a look at its size, as the library would have it."""

    name = "raw-svg"
    description = "For tests."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = ["image/png"]
    Options = ToolOptions

    async def process(self, input_data: ToolInput, options: ToolOptions) -> list[OutputFile]:
        """Ask for terabytes."""
        import resvg_py

        content = resvg_py.svg_to_bytes(svg_path=str(input_data.files[0].path))
        path = input_data.folder / "a.png"
        path.write_bytes(content)
        return [OutputFile("a.png", path, "image/png")]


def raw_registry() -> Registry:
    return Registry([NoOp, RawSvg])


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


@pytest.mark.skipif(not is_installed("resvg_py"), reason="the extra images is not there")
async def test_a_library_that_aborts_its_process_ends_one_run_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with started(f"{__name__}:raw_registry", without=()) as box:
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
