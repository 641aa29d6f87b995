"""A child is started, watched, restarted, given up and stopped as promised."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infrastructure.embedded.child import FIRST_STARTS_MAX, Child, complete
from infrastructure.embedded.data_folder import DataFolder
from infrastructure.embedded.errors import ChildFailed
from infrastructure.embedded.orphans import read_pid
from infrastructure.embedded.program import Program
from tests.fixtures.deadlines import wait_until

DEADLINE_SECONDS = 60.0
# Writes a file once it is ready; notes each start and how it ended.
SERVICE = """
import pathlib, signal, sys
home = pathlib.Path(sys.argv[1])
def end(number, frame):
    (home / "ended").write_text("in order")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
with (home / "starts").open("a") as starts:
    starts.write("start\\n")
(home / "ready").touch()
signal.pause()
"""
DEAF = SERVICE.replace("signal.SIGTERM, end", "signal.SIGTERM, signal.SIG_IGN")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    with DataFolder(tmp_path) as folder:
        yield folder


def program(folder: DataFolder, script: str = SERVICE) -> Program:
    return Program(
        name="toy",
        argv=(sys.executable, "-c", script, str(folder.path)),
        is_ready=lambda: (folder.path / "ready").exists(),
        stop_seconds=5.0,
    )


@contextlib.asynccontextmanager
async def launched(program: Program, folder: DataFolder) -> AsyncIterator[Child]:
    child = Child(program, folder)
    child.launch()
    try:
        yield child
    finally:
        await child.stop()


async def becomes(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_ready_child_is_stopped_in_order(folder: DataFolder) -> None:
    async with launched(program(folder), folder) as child:
        await child.ready()
        assert child.pid == read_pid(folder.pid_of("toy"))

    assert (folder.path / "ended").read_text() == "in order"
    assert child.pid is None
    assert not folder.pid_of("toy").exists()


async def test_a_child_that_dies_is_started_again(folder: DataFolder) -> None:
    async with launched(program(folder), folder) as child:
        await child.ready()
        killed = child.pid
        assert killed is not None

        os.kill(killed, signal.SIGKILL)

        await becomes(lambda: child.pid not in (None, killed))
        await becomes(lambda: (folder.path / "starts").read_text().count("start") == 2)
    assert child.restarts == 1


async def test_a_child_that_never_gets_ready_is_given_up_with_the_end_of_its_log(
    folder: DataFolder,
) -> None:
    broken = program(folder, "import sys; print('no such table'); sys.exit(3)")

    async with launched(broken, folder) as child:
        with pytest.raises(ChildFailed, match="toy ended with exit code 3") as failed:
            await child.ready()

    assert failed.value.log_tail.splitlines() == ["no such table"] * FIRST_STARTS_MAX


async def test_a_child_that_hangs_at_its_start_is_killed_and_given_up(folder: DataFolder) -> None:
    silent = replace(program(folder), is_ready=lambda: False, start_seconds=0.3)

    async with launched(silent, folder) as child:
        with pytest.raises(ChildFailed, match="toy was not ready within"):
            await child.ready()

    assert child.pid is None


async def test_a_child_that_does_not_listen_is_killed_in_the_end(folder: DataFolder) -> None:
    deaf = replace(program(folder, DEAF), stop_seconds=0.2)
    async with launched(deaf, folder) as child:
        await child.ready()
        pid = child.pid
        assert pid is not None

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_what_cannot_be_started_at_all_says_why(folder: DataFolder) -> None:
    def refuse() -> None:
        raise ChildFailed("toy", "has no folder", "")

    async with launched(replace(program(folder), before_start=refuse), folder) as child:
        with pytest.raises(ChildFailed, match="has no folder"):
            await child.ready()


async def test_a_start_that_fails_later_is_tried_again(folder: DataFolder) -> None:
    refusals = iter([False, True, False])

    def refuse_the_second_time() -> None:
        if next(refusals):
            raise OSError("no space left")

    moody = replace(program(folder), before_start=refuse_the_second_time)
    async with launched(moody, folder) as child:
        await child.ready()
        killed = child.pid
        assert killed is not None

        os.kill(killed, signal.SIGKILL)

        await becomes(lambda: child.pid not in (None, killed))
    assert child.restarts == 2


@pytest.mark.parametrize("identity", ["same", "namespace"])
def test_a_child_dies_with_its_parent(tmp_path: Path, identity: str) -> None:
    if identity == "namespace" and os.geteuid() != 0:
        pytest.skip("only root needs a user namespace")
    parent = f"""
import pathlib, sys
from infrastructure.embedded.data_folder import DataFolder
from infrastructure.embedded.program import Program, spawn
with DataFolder(pathlib.Path({str(tmp_path)!r})) as folder:
    argv = (sys.executable, "-c", {SERVICE!r}, {str(tmp_path)!r})
    spawn(Program("toy", argv, lambda: True, identity={identity!r}), folder)
    sys.stdin.read()
"""
    pid_file = tmp_path / "run" / "toy.pid"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE) as process:
        wait_until((tmp_path / "ready").exists, "the child does not start")
        assert read_pid(pid_file) is not None

        process.kill()

    wait_until(lambda: read_pid(pid_file) is None, "the child outlived its parent")
    assert not (tmp_path / "ended").exists()


@pytest.mark.parametrize(
    ("script", "seconds", "complaint"),
    [
        ("print('table is missing'); raise SystemExit(4)", 30.0, "exit code 4"),
        (SERVICE, 2.0, "too long"),
    ],
)
async def test_a_step_that_fails_or_takes_too_long_is_told(
    folder: DataFolder, script: str, seconds: float, complaint: str
) -> None:
    with pytest.raises(ChildFailed, match=complaint):
        await complete(replace(program(folder, script), start_seconds=seconds), folder)

    assert not folder.pid_of("toy").exists()


async def test_a_step_that_succeeds_says_nothing(folder: DataFolder) -> None:
    await complete(program(folder, "print('done')"), folder)

    assert folder.log_of("toy").read_text() == "done\n"
