"""The sandbox against tools that misbehave."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from processors.sandbox.observed import WRITTEN_BYTES_MAX
from processors.sandbox.proc import children
from processors.sandbox.run import ToolOutcome, ToolRun
from processors.sandbox.runner import INSTALLED, Sandbox
from processors.sandbox.zygote import SPARES
from processors.sandbox.zygote_process import ZygoteProcess
from processors.tools.base import GENERAL, InputFile, ToolProcessingError
from tests.fixtures.waiting import eventually
from tests.integration.processors.sandbox import hostile_tools
from tests.integration.processors.sandbox.boxes import WALLS, started

REGISTRY = "tests.integration.processors.sandbox.hostile_tools:registry"
THREADED = "tests.integration.processors.sandbox.hostile_tools:registry_with_threads"
DEADLINE_SECONDS = 60.0
TOOLS = hostile_tools.registry()


@pytest_asyncio.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """With the basic layers only: what it stands without the others, it stands."""
    os.environ["SECRET_KEY"] = "not for tools"
    async with started(REGISTRY) as box:
        yield box
    del os.environ["SECRET_KEY"]


def order(tool: str, folder: Path, **options: Any) -> ToolRun:
    return ToolRun(tool, options, (), folder, TOOLS.get(tool).limits)


async def outcome(sandbox: Sandbox, run: ToolRun) -> ToolOutcome:
    return await sandbox.run(run, lambda *_: None)


async def failure(sandbox: Sandbox, run: ToolRun) -> ToolProcessingError:
    with pytest.raises(ToolProcessingError) as caught:
        await outcome(sandbox, run)
    return caught.value


def pids(folder: Path) -> list[int]:
    return [int(line) for line in (folder / hostile_tools.PIDS).read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody reaps yet runs no more.
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    return False


async def until_ended(processes: list[int]) -> None:
    await eventually(lambda: not any(is_alive(pid) for pid in processes))


async def asleep(sandbox: Sandbox, folder: Path) -> asyncio.Task[ToolOutcome]:
    """A run that has reached its sleep."""
    reached = asyncio.Event()
    run = sandbox.run(order("sleeper", folder), lambda *_: reached.set())
    task = asyncio.create_task(run)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await reached.wait()
    return task


async def test_a_tool_sees_nothing_of_the_worker(sandbox: Sandbox, tmp_path: Path) -> None:
    result = await outcome(sandbox, order("snoop", tmp_path))

    seen = json.loads(result.outputs[0].path.read_text())
    assert "not for tools" not in json.dumps(seen)
    assert set(seen["environment"]) == {
        *("PATH", "LANG", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX", "HOME", "TMPDIR")
    }
    kinds = [link.partition(":")[0] for link in seen["descriptors"]]
    # Nowhere, the log twice, the way to the worker, and what its own event loop needs.
    nowhere, log = "/dev/null", "pipe"
    assert kinds == [nowhere, log, log, "socket", "anon_inode", "socket", "socket"]
    assert seen["folder"] == str(tmp_path)
    assert seen["umask"] == 0o077
    assert seen["session"] is True


async def test_an_outcome_tells_what_a_run_cost(sandbox: Sandbox, tmp_path: Path) -> None:
    result = await outcome(sandbox, order("snoop", tmp_path))

    assert [(o.name, o.media_type) for o in result.outputs] == [("seen.json", "application/json")]
    assert result.outputs[0].size_bytes == (tmp_path / "seen.json").stat().st_size
    assert 0 < result.duration_seconds < DEADLINE_SECONDS
    assert result.peak_rss_bytes is not None
    assert result.peak_rss_bytes > 1024**2
    assert result.cpu_seconds is not None
    assert result.cpu_seconds > 0
    assert result.isolation == sandbox.isolation
    assert result.isolation.level == "L1"
    assert result.isolation.missing == (*(f"{name}: left out by a setting" for name in WALLS),)


async def test_progress_arrives_while_a_tool_runs(sandbox: Sandbox, tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []

    await sandbox.run(order("no-op", tmp_path, seconds=0.6), lambda *p: seen.append(p))

    assert [fraction for fraction, _ in seen] == [0.0, pytest.approx(1 / 3), pytest.approx(2 / 3)]


async def test_what_a_tool_writes_is_kept_also_when_it_is_killed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    run = order("writer", tmp_path)

    error = await failure(sandbox, run)

    assert error.code == "TOOL_CRASHED"
    lines = run.observed.written.text.splitlines()
    assert lines[:2] == ["printed", "a line for the log"]
    assert lines[2].endswith("WARNING tool: logged: 7")
    assert lines[3:] == ["written by another process"]
    assert not run.observed.written.is_cut


async def test_of_a_flood_the_beginning_and_the_end_are_kept(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    run = order("flooder", tmp_path)

    await failure(sandbox, run)

    written = run.observed.written
    assert written.is_cut
    assert written.text.startswith("the beginning\n")
    assert written.text.endswith("the end\n")
    assert " bytes are left out here]" in written.text
    assert len(written.text.encode()) <= WRITTEN_BYTES_MAX


async def test_a_run_that_fails_tells_what_it_used(sandbox: Sandbox, tmp_path: Path) -> None:
    run = order("writer", tmp_path)

    await failure(sandbox, run)

    assert run.observed.peak_rss_bytes is not None
    assert run.observed.peak_rss_bytes > 1024**2
    assert run.observed.cpu_seconds is not None


async def test_a_deaf_tool_and_all_its_children_are_ended(sandbox: Sandbox, tmp_path: Path) -> None:
    error = await failure(sandbox, order("looper", tmp_path))

    assert (error.code, error.permanent) == ("TOOL_TIMEOUT", False)
    assert len(pids(tmp_path)) == hostile_tools.CHILDREN + 1
    assert not any(is_alive(pid) for pid in pids(tmp_path))


async def test_a_process_that_left_its_session_ends_with_its_run(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    result = await outcome(sandbox, order("runaway", tmp_path))

    assert not is_alive(int(result.outputs[0].path.read_text()))


@pytest.mark.parametrize("tool", ["hog", "herd", "big-file", "filler", "multiplier"])
async def test_a_tool_that_takes_too_much_is_ended_for_good(
    sandbox: Sandbox, tmp_path: Path, tool: str
) -> None:
    error = await failure(sandbox, order(tool, tmp_path))

    assert (error.code, error.permanent) == ("RESOURCE_LIMIT_EXCEEDED", True)
    if (tmp_path / hostile_tools.PIDS).exists():
        assert not any(is_alive(pid) for pid in pids(tmp_path))


@pytest.mark.parametrize("tool", ["burner", "deaf-burner"])
async def test_processor_time_is_limited_whatever_the_clock_says(
    sandbox: Sandbox, tmp_path: Path, tool: str
) -> None:
    error = await failure(sandbox, order(tool, tmp_path))

    assert (error.code, error.permanent) == ("RESOURCE_LIMIT_EXCEEDED", True)
    assert "processor time" in error.message


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("abort", "SIGABRT"),
        ("segfault", "SIGSEGV"),
        ("killed", "SIGKILL"),
        ("exit", "exit code 3"),
        ("system-exit", "unexpectedly"),
        ("raise", "unexpectedly"),
        ("babble", "something else"),
        ("flood", "something else"),
    ],
)
async def test_a_crash_is_reported_and_may_be_tried_again(
    sandbox: Sandbox, tmp_path: Path, how: str, words: str
) -> None:
    error = await failure(sandbox, order("ender", tmp_path, how=how))

    assert (error.code, error.permanent) == ("TOOL_CRASHED", False)
    assert words in error.message


async def test_an_unexpected_error_leaves_its_stack_for_the_logs_only(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    error = await failure(sandbox, order("ender", tmp_path, how="raise"))

    assert error.stack is not None
    assert "KeyError" in error.stack
    assert "KeyError" not in error.message


async def test_an_error_of_a_tool_arrives_whole(sandbox: Sandbox, tmp_path: Path) -> None:
    error = await failure(sandbox, order("complainer", tmp_path))

    assert (error.code, error.message, error.field, error.permanent) == (
        *("NO_GOOD", "It is no good.", "what", False),
    )


async def test_a_tool_may_refuse_its_input_without_a_reason(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    error = await failure(sandbox, order("refuser", tmp_path))

    assert (error.code, error.permanent) == ("INPUT_REFUSED", True)


async def test_an_unknown_option_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    error = await failure(sandbox, order("no-op", tmp_path, speed=9))

    assert (error.code, error.field, error.permanent) == ("INVALID_OPTIONS", "speed", True)


@pytest.mark.parametrize(
    "what",
    [
        *("outside", "dots", "symlink", "folder-symlink", "hard-link", "pipe", "missing"),
        *("empty", "type", "content", "name", "twice", "many"),
    ],
)
async def test_an_output_that_may_not_be_is_refused(
    sandbox: Sandbox, tmp_path: Path, what: str
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    outside = tmp_path / "outside.txt"
    outside.write_text("not yours")

    error = await failure(sandbox, order("forger", folder, what=what, target=str(outside)))

    assert (error.code, error.permanent) == ("BAD_OUTPUT", True)
    assert str(tmp_path) not in error.message


async def test_a_cancelled_run_leaves_no_process(sandbox: Sandbox, tmp_path: Path) -> None:
    task = await asleep(sandbox, tmp_path)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not any(is_alive(pid) for pid in pids(tmp_path))


async def test_many_runs_at_once_do_not_mix(sandbox: Sandbox, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(30)]
    for folder in folders:
        folder.mkdir()

    runs = [outcome(sandbox, order("snoop", folder)) for folder in folders]
    failing = [failure(sandbox, order("ender", tmp_path, how="abort")) for _ in range(5)]
    results, errors = await asyncio.gather(asyncio.gather(*runs), asyncio.gather(*failing))

    assert [r.outputs[0].path.parent for r in results] == folders
    assert {error.code for error in errors} == {"TOOL_CRASHED"}


async def test_a_killed_zygote_takes_its_runs_along_and_is_replaced(tmp_path: Path) -> None:
    async with started(REGISTRY) as box:
        sleeping = await asleep(box, tmp_path)
        zygote = zygote_of(box)

        os.kill(zygote.pid, signal.SIGKILL)
        with pytest.raises(ToolProcessingError) as caught:
            await sleeping

        assert (caught.value.code, caught.value.permanent) == ("TOOL_CRASHED", False)
        assert not any(is_alive(pid) for pid in pids(tmp_path))
        assert (await outcome(box, order("snoop", tmp_path))).outputs
        assert zygote_of(box).pid != zygote.pid


async def test_a_zygote_that_hangs_is_replaced_when_a_run_cannot_be_ended(tmp_path: Path) -> None:
    async with started(REGISTRY) as box:
        sleeping = await asleep(box, tmp_path)
        zygote = zygote_of(box)
        os.kill(zygote.pid, signal.SIGSTOP)

        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping

        assert not any(is_alive(pid) for pid in [*pids(tmp_path), zygote.pid])
        assert (await outcome(box, order("snoop", tmp_path))).outputs


async def test_stopping_ends_every_run(tmp_path: Path) -> None:
    async with started(REGISTRY) as box:
        sleeping = await asleep(box, tmp_path)
        zygote = zygote_of(box)

    with pytest.raises(ToolProcessingError, match="TOOL_CRASHED"):
        await sleeping
    assert not any(is_alive(pid) for pid in [*pids(tmp_path), zygote.pid])


async def test_more_runs_at_once_than_the_zygote_can_be_asked_for_in_one_go(
    tmp_path: Path,
) -> None:
    async with started(REGISTRY) as box:
        zygote = zygote_of(box)
        os.kill(zygote.pid, signal.SIGSTOP)
        runs = asyncio.gather(*(outcome(box, order("no-op", tmp_path)) for _ in range(400)))
        await asyncio.sleep(0)
        os.kill(zygote.pid, signal.SIGCONT)
        outcomes = await runs

        assert len(outcomes) == 400
        assert zygote_of(box) is zygote


async def test_children_that_are_killed_while_they_wait_are_replaced(tmp_path: Path) -> None:
    async with started(REGISTRY) as box:
        zygote = zygote_of(box)
        for _ in range(2):
            await eventually(lambda: len(children(zygote.pid)) == SPARES)
            spares = children(zygote.pid)
            for spare in spares:
                os.kill(spare, signal.SIGKILL)
            await until_ended(spares)

            assert (await outcome(box, order("snoop", tmp_path))).outputs
        assert zygote_of(box) is zygote


async def test_a_run_whose_folder_is_missing_says_that_it_could_not_begin(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    error = await failure(sandbox, order("snoop", tmp_path / "nowhere"))

    assert (error.code, error.permanent) == ("TOOL_CRASHED", False)
    assert "could not be set up" in error.message
    assert "FileNotFoundError" in (error.stack or "")


async def test_a_killed_worker_leaves_no_process(tmp_path: Path) -> None:
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.processors.sandbox.lone_worker", tmp_path),
        env={**os.environ, "PYTHONPATH": ":".join(path for path in sys.path if path)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert worker.stderr is not None
    async with asyncio.timeout(DEADLINE_SECONDS):
        zygote = int(await worker.stderr.readline())

    worker.kill()
    await worker.wait()

    assert len(pids(tmp_path)) == 1
    await until_ended([zygote, *pids(tmp_path)])


async def test_a_library_with_threads_is_loaded_in_the_child(tmp_path: Path) -> None:
    async with started(THREADED) as box:

        run = ToolRun("threaded", {}, (), tmp_path, hostile_tools.Threaded.limits)
        result = await outcome(box, run)

        assert result.outputs[0].path.read_text() == "from the thread"


async def test_a_sandbox_that_cannot_start_says_so(tmp_path: Path) -> None:
    box = Sandbox(REGISTRY, environment={"PYTHONPATH": "/nonexistent"})

    with pytest.raises(ToolProcessingError, match="does not start"):
        await box.start()


async def test_an_input_reaches_the_tool_as_it_was_given(tmp_path: Path) -> None:
    async with started(INSTALLED) as box:
        source = tmp_path / "1"
        source.write_bytes(b"abc")
        folder = tmp_path / "work"
        folder.mkdir()
        file = InputFile(source, "räuber.bin", "application/octet-stream", 3, "")

        limits = TOOLS.get("snoop").limits
        result = await outcome(box, ToolRun("checksum", {}, (file,), folder, limits))

        digest = hashlib.sha256(b"abc").hexdigest()
        assert result.outputs[0].path.read_text() == f"{digest}  räuber.bin\n"


def zygote_of(sandbox: Sandbox) -> ZygoteProcess:
    return sandbox.zygotes[GENERAL]
