"""Ten thousand damaged files: each gives an output or a documented code, and nothing else.

Some hundred more go to the tools that take seconds for a file.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from processors.sandbox.runner import INSTALLED, Sandbox
from processors.tools.registry import AnyTool, installed
from tests.acceptance.files.mutation import mutated
from tests.acceptance.files.seeds import PASSWORD, SHUT, seeds
from tests.acceptance.files.trial import SECONDS_A_FILE, WORKED, Results, Trials

FILES = 10_000
SLOW_FILES = 400
AT_ONCE = 3
SEED = 20_261_125
LEFT_OUT = frozenset({"no-op", "checksum"})
"""Those that read bytes and parse nothing."""

pytestmark = [pytest.mark.drill, pytest.mark.timeout(3_000)]


@pytest_asyncio.fixture
async def trials(tmp_path: Path) -> AsyncIterator[Trials]:
    sandbox = Sandbox(INSTALLED)
    await sandbox.start()
    yield Trials(sandbox, tmp_path)
    await sandbox.stop()


async def test_no_damaged_file_escapes_a_documented_code(
    trials: Trials, capsys: pytest.CaptureFixture[str]
) -> None:
    results, dice = Results(), random.Random(SEED)
    pairs = _pairs(trials)
    quick = [pair for pair in pairs if pair[0].name not in SECONDS_A_FILE]
    slow = [pair for pair in pairs if pair[0].name in SECONDS_A_FILE]
    chosen = dice.choices(quick, k=FILES) + (dice.choices(slow, k=SLOW_FILES) if slow else [])
    queue = iter(chosen)
    numbers = iter(range(len(chosen)))

    async def work() -> None:
        for (tool, kind, content), number in zip(queue, numbers, strict=False):
            damaged = mutated(content, random.Random(SEED + number))
            name, password = f"{kind} {SEED + number}", PASSWORD if kind.startswith(SHUT) else None
            results.note(tool.name, name, await trials.ending(tool, name, damaged, password))

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    with capsys.disabled():
        print(f"\n{results.total} damaged files\n{results.table()}")  # noqa: T201
    assert results.faults == []
    assert results.never_run == []
    assert [tool for tool, counts in results.counts.items() if not counts[WORKED]] == []
    assert results.total >= len(chosen) - AT_ONCE


def _pairs(trials: Trials) -> list[tuple[AnyTool, str, bytes]]:
    """Every kind of file with every tool that takes it whole."""
    return [
        (tool, kind, content)
        for kind, content in seeds().items()
        for tool in installed().available()
        if tool.name not in LEFT_OUT and trials.takes(tool, trials.media_type(content))
    ]
