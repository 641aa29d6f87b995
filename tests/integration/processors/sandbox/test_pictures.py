"""The tools for pictures and PDF, behind all walls of this machine."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from processors.sandbox.run import ToolOutcome, ToolRun
from processors.sandbox.runner import INSTALLED, Sandbox
from processors.tools.base import InputFile
from processors.tools.registry import installed
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
REAL: dict[str, Case] = {
    "heic-converter": (PHOTO, JPEG, {"output_format": "heic"}),
    "image-cropper": (files.rgba_png(), PNG, {}),
    "image-optimizer": (files.encoded(files.photo(320, 240), "PNG"), PNG, {}),
    "image-watermark": (PHOTO, JPEG, {}),
    "metadata-stripper": (files.photo_jpeg(320, 240, orientation=6, gps=True), JPEG, {}),
    "pdf-compressor": (files.simple_pdf(pages=3), PDF, {"images": "recompress"}),
    "pdf-decrypter": (files.simple_pdf(password="x"), PDF, {"password": "x"}),
    "pdf-encrypter": (files.simple_pdf(), PDF, {"user_password": "x"}),
    "pdf-rotator": (files.simple_pdf(), PDF, {}),
    "pdf-splitter": (files.simple_pdf(pages=3), PDF, {}),
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
