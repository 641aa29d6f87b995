"""Programs that tools start, behind the walls of the tool."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from processors.sandbox.proc import descendants
from processors.sandbox.run import ToolRun
from processors.sandbox.runner import Sandbox
from processors.tools.base import ToolProcessingError
from processors.tools.programs import FFMPEG, PANDOC, path_of
from tests.fixtures.waiting import eventually
from tests.integration.processors.sandbox.boxes import started
from tests.integration.processors.sandbox.program_tools import SOUND, registry

REGISTRY = "tests.integration.processors.sandbox.program_tools:registry"
TOOLS = registry()
ENDLESS = ("-nostdin", "-re", "-f", "lavfi", "-i", "sine", "-progress", "pipe:1", "-f", "null", "-")
pytestmark = pytest.mark.skipif(
    path_of(FFMPEG) is None or path_of(PANDOC) is None, reason="the extras are not installed"
)


@pytest_asyncio.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with started(REGISTRY, without=()) as box:
        yield box


def order(folder: Path, *arguments: str, tool: str = "starter", **options: object) -> ToolRun:
    folder.mkdir(exist_ok=True)
    given = {"arguments": list(arguments), **options}
    return ToolRun(tool, given, (), folder, TOOLS.get(tool).limits)


async def told(sandbox: Sandbox, run: ToolRun) -> str:
    outcome = await sandbox.run(run, lambda *_: None)
    return outcome.outputs[0].path.read_text()


async def failure(sandbox: Sandbox, run: ToolRun) -> ToolProcessingError:
    with pytest.raises(ToolProcessingError) as caught:
        await sandbox.run(run, lambda *_: None)
    return caught.value


async def test_a_program_works_and_tells_its_progress(sandbox: Sandbox, tmp_path: Path) -> None:
    said = await told(sandbox, order(tmp_path / "work", *SOUND, "{folder}/sound.wav"))

    assert "progress=end" in said.splitlines()
    # What the tool did not claim was cleaned up after it.
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["told.txt"]


async def test_a_program_with_a_large_heap_works_within_the_limits(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    nothing_to_docx = ("-f", "markdown", "-t", "docx", "-o", "{folder}/empty.docx")
    version = await told(sandbox, order(tmp_path / "1", "--version", program="pandoc"))
    converted = await told(sandbox, order(tmp_path / "2", *nothing_to_docx, program="pandoc"))

    assert version.startswith("pandoc")
    assert converted.strip() == ""


async def test_a_program_that_fails_is_no_crash(sandbox: Sandbox, tmp_path: Path) -> None:
    error = await failure(sandbox, order(tmp_path / "work", "-nostdin", "-i", "nothing", "x.wav"))

    assert (error.code, error.permanent) == ("PROGRAM_FAILED", True)
    assert "nothing" not in f"{error.message} {error.stack}"


@pytest.mark.parametrize(
    "source", ["file:/etc/passwd", "unix:/var/run/docker.sock", "tcp://127.0.0.1:1", "/etc/passwd"]
)
async def test_a_program_reaches_no_more_than_its_tool(
    sandbox: Sandbox, tmp_path: Path, source: str
) -> None:
    arguments = ("-nostdin", "-f", "rawvideo", "-i", source, "-f", "null", "-")
    failing = order(tmp_path / "work", *arguments, lines_of="stderr")

    error = await failure(sandbox, failing)

    assert error.code == "PROGRAM_FAILED"


async def test_a_program_that_writes_too_much_is_ended(sandbox: Sandbox, tmp_path: Path) -> None:
    noise = ("-f", "lavfi", "-i", "anoisesrc", "-t", "600", "-c:a", "pcm_s16le")
    error = await failure(
        sandbox, order(tmp_path / "work", "-nostdin", *noise, "{folder}/noise.wav")
    )

    assert (error.code, error.permanent) in {
        ("RESOURCE_LIMIT_EXCEEDED", True),
        # ffmpeg tells of the refused write before the signal arrives, or instead of it.
        ("PROGRAM_FAILED", True),
    }


async def test_a_program_ends_with_its_run(sandbox: Sandbox, tmp_path: Path) -> None:
    heard = asyncio.Event()
    task = asyncio.create_task(
        sandbox.run(order(tmp_path / "work", *ENDLESS), lambda *_: heard.set())
    )
    zygote = sandbox.zygotes["general"].pid
    await eventually(lambda: bool(programs_below(zygote)))
    (program,) = programs_below(zygote)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert program not in descendants([zygote])


def programs_below(zygote: int) -> list[int]:
    """The processes below a zygote that run ffmpeg."""
    found = []
    for pid in descendants([zygote]):
        with contextlib.suppress(OSError):
            if Path(os.readlink(f"/proc/{pid}/exe")).name.startswith("ffmpeg"):  # noqa: PTH115
                found.append(pid)
    return found


async def test_a_tool_that_shall_be_alone_starts_no_program(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    error = await failure(sandbox, order(tmp_path / "work", "-version", tool="lonely"))

    assert error.code == "TOOL_CRASHED"


async def test_what_a_tool_wrote_itself_cannot_be_started(sandbox: Sandbox, tmp_path: Path) -> None:
    if "landlock" not in sandbox.isolation.layers:
        pytest.skip("this kernel does not give Landlock")

    said = await told(sandbox, order(tmp_path / "work", tool="dropper"))

    assert said == "refused: Permission denied"


async def test_a_program_that_is_not_there_makes_its_tool_unavailable(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (offer,) = [offer for offer in TOOLS.offers() if offer.name == "absent"]

    assert offer.unavailable_reason == ("not installed: python; pip install 'magictoolbox[media]'")
    error = await failure(sandbox, order(tmp_path / "work", program="missing"))
    assert (error.code, error.permanent) == ("NOT_INSTALLED", True)
