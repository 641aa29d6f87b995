"""Only a process that is certainly ours is ended."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from infrastructure.embedded.orphans import end, read_pid, working_in, write_pid
from tests.fixtures.deadlines import wait_until

STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_living_process_is_known_by_its_file(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    write_pid(tmp_path / "it.pid", sleeper.pid)

    assert read_pid(tmp_path / "it.pid") == sleeper.pid
    assert (tmp_path / "it.pid").read_text().splitlines()[0] == str(sleeper.pid)


def test_another_process_with_the_same_id_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "it.pid"
    write_pid(path, os.getpid())
    boot, start = path.read_text().splitlines()[1].split()

    path.write_text(f"{os.getpid()}\n{boot} {int(start) - 1}\n")

    assert read_pid(path) is None


@pytest.mark.parametrize("text", ["", "12\n", "twelve\nmark\n", "1\n\n"])
def test_a_damaged_file_names_no_process(tmp_path: Path, text: str) -> None:
    (tmp_path / "it.pid").write_text(text)

    assert read_pid(tmp_path / "it.pid") is None


def test_a_process_that_does_not_listen_is_killed(sleeper: subprocess.Popen[bytes]) -> None:
    end([sleeper.pid], SIGTERM, grace_seconds=0.2)

    assert sleeper.wait(5) == -SIGKILL


def test_ending_what_is_gone_already_does_nothing(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait(5)

    end([sleeper.pid], SIGTERM, grace_seconds=5)

    assert sleeper.returncode == -SIGKILL


def test_processes_are_found_by_folder_and_by_name(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "60"], cwd=tmp_path) as process:
        try:
            wait_until(lambda: working_in(tmp_path, "sleep") == [process.pid], "it is not found")
            assert working_in(tmp_path, "postgres") == []
            assert working_in(tmp_path.parent, "sleep") == []
        finally:
            process.kill()
