"""Every bad file that the tools' own tests refuse, through the real sandbox, in the same words.

What is refused in the process of a test could still end another way behind the walls, and leave a
process or a file there.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from processors.sandbox.proc import descendants
from processors.sandbox.run import ToolRun
from processors.sandbox.runner import INSTALLED, Sandbox
from processors.sandbox.zygote import SPARES
from processors.tools.base import InputFile, ToolProcessingError
from processors.tools.registry import installed
from tests.fixtures.waiting import eventually
from tests.integration.processors.sandbox.boxes import started
from tests.unit.processors.tools import (
    test_archives,
    test_codes,
    test_document_converter,
    test_films,
    test_markdown,
    test_media,
    test_page_tools,
    test_pdf_tools,
    test_picture_files,
    test_pictures,
    test_tables,
)
from tests.unit.processors.tools.readers import pdf
from tests.unit.processors.tools.workbench import Given

Case = tuple[str, set[str], list[Given], dict[str, Any]]
"""What it is, the codes that may be told, the files and the options."""
REGISTRY = installed()
USABLE = {tool.name for tool in REGISTRY.available()}


def archives() -> Iterator[Case]:
    for name, (code, content) in test_archives.UNSAFE.items():
        yield name, {code}, [test_archives.archive(content())], {}


def pictures() -> Iterator[Case]:
    for name, (code, content) in test_pictures.BAD.items():
        yield name, {code}, [Given(content())], {}


def stripped() -> Iterator[Case]:
    for name, (code, given) in test_picture_files.BAD.items():
        yield name, {code}, [given], {}


def pages() -> Iterator[Case]:
    for name, (code, content) in test_page_tools.BAD_PICTURES.items():
        yield name, {code}, [Given(content)], {}


def drawings() -> Iterator[Case]:
    for name, (code, given) in test_page_tools.BAD_SVG.items():
        yield name, {code}, [given], {}


def drawn() -> Iterator[Case]:
    for name, (code, content) in test_page_tools.BAD_PDF.items():
        yield name, {code}, [pdf(content)], {}


def documents() -> Iterator[Case]:
    for name, (code, content) in test_pdf_tools.BAD.items():
        yield name, {code}, [pdf(content)], {}


def tables() -> Iterator[Case]:
    for name, (code, _, given) in test_tables.BAD.items():
        yield name, {code}, [given], {}


def markdown() -> Iterator[Case]:
    for name, (code, content) in test_markdown.BAD.items():
        yield name, {code}, [test_markdown.markdown(content)], {}


def word() -> Iterator[Case]:
    for name, (code, content) in test_markdown.BAD_DOCUMENTS.items():
        yield name, {code}, [test_markdown.word(content)], {}


def office() -> Iterator[Case]:
    for name, (code, given, options) in test_document_converter.REFUSED.items():
        yield name, {code}, [given], options


def subtitles() -> Iterator[Case]:
    for name, (code, content) in test_media.BAD_SUBTITLES.items():
        yield name, {code}, [test_media.subtitle(content)], {}


def codes(tool: str) -> Iterator[Case]:
    for name, (code, of, given, options) in test_codes.BAD.items():
        if of == tool:
            yield name, {code}, given, options


def films(tool: str) -> Iterator[Case]:
    for name, (told, of, content) in test_films.REFUSED.items():
        if of == tool:
            yield name, told, [test_films.video(content())], {}


SOURCES: dict[str, Callable[[], Iterator[Case]]] = {
    "archive-extractor": archives,
    "docx-to-markdown": word,
    "document-converter": office,
    "image-converter": pictures,
    "images-to-pdf": pages,
    "markdown-to-html": markdown,
    "metadata-stripper": stripped,
    "pdf-splitter": documents,
    "pdf-to-images": drawn,
    "subtitle-converter": subtitles,
    "svg-to-image": drawings,
    "table-converter": tables,
    **{tool: partial(codes, tool) for tool in ("qr-maker", "barcode-maker", "code-reader")},
    **{
        tool: partial(films, tool)
        for tool in ("audio-converter", "video-converter", "media-trimmer", "video-thumbnailer")
    },
}


@pytest_asyncio.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with started(INSTALLED, without=()) as box:
        yield box


async def ending(
    sandbox: Sandbox, folder: Path, tool: str, given: list[Given], options: dict[str, Any]
) -> str:
    """The code with which a run ends."""
    (folder / "work").mkdir(parents=True)
    inputs = []
    for number, file in enumerate(given):
        path = folder / str(number)
        path.write_bytes(file.content)
        inputs.append(InputFile(path, file.filename, file.media_type, len(file.content), ""))
    run = ToolRun(tool, options, tuple(inputs), folder / "work", REGISTRY.get(tool).limits)
    try:
        await sandbox.run(run, lambda *_: None)
    except ToolProcessingError as error:
        return error.code
    return "worked"


def is_quiet(sandbox: Sandbox) -> bool:
    """Whether no process is there but those that wait for the next run."""
    return all(len(descendants([z.pid])) <= 1 + SPARES for z in sandbox.zygotes.values())


@pytest.mark.parametrize("tool", list(SOURCES))
async def test_a_bad_file_has_its_code_and_leaves_nothing(
    sandbox: Sandbox, tmp_path: Path, tool: str
) -> None:
    if tool not in USABLE:
        pytest.skip(f"{tool} lacks its extra")
    cases = list(SOURCES[tool]())

    wrong = []
    for number, (name, expected, given, options) in enumerate(cases):
        folder = tmp_path / str(number)
        told = await ending(sandbox, folder, tool, given, options)
        if told not in expected:
            wrong.append(f"{name}: {told}, not {sorted(expected)}")
        assert len(list(folder.iterdir())) == 1 + len(given)

    assert cases
    assert wrong == []
    await eventually(lambda: is_quiet(sandbox))
