"""A data folder belongs to one platform and one owner."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.embedded.data_folder import DataFolder, write_owner_only
from infrastructure.embedded.errors import DataFolderInUse

HOLD = """
import sys, pathlib
from infrastructure.embedded.data_folder import DataFolder
with DataFolder(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with DataFolder(tmp_path), pytest.raises(DataFolderInUse, match=f"process {os.getpid()}:"):
        DataFolder(tmp_path).__enter__()


def test_the_lock_ends_with_its_holder_however_that_one_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataFolderInUse, match=f"process {holder.pid}:"):
            DataFolder(tmp_path).__enter__()

        holder.kill()
        holder.wait()

        with DataFolder(tmp_path) as folder:
            assert folder.path == tmp_path


def test_nobody_else_can_look_into_the_folder(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "new" / "data") as folder:
        own = [folder.logs, folder.run, folder.blobs, folder.work, folder.server("postgres")]
        made = [folder.path, *own]

        assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}


def test_a_file_for_its_owner_is_never_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old, and open to all")
    path.chmod(0o644)

    write_owner_only(path, "new")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
