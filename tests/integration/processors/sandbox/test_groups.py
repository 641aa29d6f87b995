"""Groups of tools: each has a process with its own libraries, and gives it back in the end."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from processors.sandbox.proc import children, descendants
from processors.sandbox.run import Isolation, ToolRun
from processors.sandbox.runner import INSTALLED, Sandbox
from processors.sandbox.zygote import SPARES
from processors.tools.base import GENERAL, ToolProcessingError
from processors.tools.registry import Registry
from tests.fixtures.waiting import eventually
from tests.integration.processors.sandbox.boxes import started
from tests.integration.processors.sandbox.hostile_tools import Hostile, Snoop

REGISTRY = "tests.integration.processors.sandbox.test_groups:registry"
IDLE_SECONDS = 0.2
IDLE_BYTES_MAX = 70 * 1024**2
"""A worker itself holds about 80 MB, and is to stay below 150 MB."""


class Painter(Snoop):
    """Tells what its process has loaded."""

    name = "painter"
    group = "pictures"
    modules = ("sched",)


class Printer(Snoop):
    """Of another group, with other libraries."""

    name = "printer"
    group = "documents"
    modules = ("wave",)


def registry() -> Registry:
    """One tool without a group, and one of each of two."""
    return Registry((Snoop, Painter, Printer))


async def loaded(box: Sandbox, folder: Path, tool: str) -> set[str]:
    """Those of the two libraries that the process of a run has from the start."""
    os.makedirs(folder)  # noqa: PTH103
    run = ToolRun(tool, {}, (), folder, Hostile.limits)
    outcome = await box.run(run, lambda *_: None)
    seen = outcome.outputs[0].path.read_text()
    return {name for name in ("sched", "wave") if f'"{name}"' in seen}


async def test_each_group_has_its_own_libraries_and_a_process_when_it_is_used(
    tmp_path: Path,
) -> None:
    async with started(REGISTRY) as box:
        assert set(box.zygotes) == {GENERAL}

        assert await loaded(box, tmp_path / "1", "snoop") == set()
        assert await loaded(box, tmp_path / "2", "painter") == {"sched"}
        assert await loaded(box, tmp_path / "3", "printer") == {"wave"}

        assert set(box.zygotes) == {GENERAL, "pictures", "documents"}
        assert {zygote.isolation for zygote in box.zygotes.values()} == {box.isolation}


async def test_a_group_that_is_not_used_gives_its_memory_back(tmp_path: Path) -> None:
    async with started(REGISTRY, idle_seconds=IDLE_SECONDS) as box:
        await loaded(box, tmp_path / "1", "painter")
        first = box.zygotes["pictures"]

        await eventually(lambda: set(box.zygotes) == {GENERAL})

        await eventually(lambda: first.process.returncode is not None)
        assert await loaded(box, tmp_path / "2", "painter") == {"sched"}
        assert await loaded(box, tmp_path / "3", "snoop") == set()


async def test_runs_at_once_share_the_process_of_their_group(tmp_path: Path) -> None:
    async with started(REGISTRY, idle_seconds=IDLE_SECONDS) as box:
        runs = [loaded(box, tmp_path / str(number), "painter") for number in range(10)]

        assert await asyncio.gather(*runs) == [{"sched"}] * 10


async def test_the_end_of_one_group_is_no_matter_to_others(tmp_path: Path) -> None:
    async with started(REGISTRY) as box:
        await loaded(box, tmp_path / "1", "painter")
        await loaded(box, tmp_path / "2", "printer")
        kept, killed = box.zygotes["documents"], box.zygotes["pictures"]

        os.kill(killed.pid, signal.SIGKILL)
        await eventually(lambda: not killed.is_alive)

        assert await loaded(box, tmp_path / "3", "printer") == {"wave"}
        assert await loaded(box, tmp_path / "4", "painter") == {"sched"}
        assert box.zygotes["documents"] is kept


async def test_a_process_with_fewer_walls_than_promised_runs_nothing(tmp_path: Path) -> None:
    async with started(REGISTRY) as box:
        box.isolation = Isolation("L3", (), ())

        with pytest.raises(ToolProcessingError, match="weaker") as caught:
            await loaded(box, tmp_path / "1", "painter")

        assert not caught.value.permanent
        assert set(box.zygotes) == {GENERAL}


async def test_an_idle_sandbox_with_all_tools_holds_little_memory() -> None:
    async with started(INSTALLED, without=()) as box:
        zygote = box.zygotes[GENERAL].pid
        await eventually(lambda: len(children(zygote)) == SPARES)

        held = sum(pss_bytes(pid) for pid in descendants([zygote]))

        assert set(box.zygotes) == {GENERAL}
        assert held < IDLE_BYTES_MAX


def pss_bytes(pid: int) -> int:
    """The memory of a process, with its share of what it shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
