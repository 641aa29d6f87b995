"""Folders of killed workers go while others live, however soon they came back."""

import os
import threading
from pathlib import Path

from processors.leftovers import YOUNG_SECONDS, Leftovers
from processors.workspace import sweep


def left(folder: Path, name: str) -> Path:
    """A folder that a worker left when it was killed."""
    path = folder / name
    (path / "work").mkdir(parents=True)
    (path / "work" / "output").write_bytes(b"half")
    return path


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return [path.name for path in folder.iterdir()]


async def test_a_folder_that_was_too_young_at_the_start_goes_later(tmp_path: Path) -> None:
    path = left(tmp_path, "run-left")
    leftovers = Leftovers(tmp_path)

    assert (await leftovers.run_once()).is_idle
    made_at = path.stat().st_mtime - YOUNG_SECONDS - 1
    os.utime(path, (made_at, made_at))
    counts = await leftovers.run_once()

    assert counts["removed"] == 1
    assert names(tmp_path) == []


def test_two_workers_may_sweep_one_folder(tmp_path: Path) -> None:
    for number in range(200):
        os.utime(left(tmp_path, f"run-{number}"), (0, 0))
    removed: list[int] = []
    threads = [
        threading.Thread(target=lambda: removed.append(sweep(tmp_path, 60))) for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(removed) == 200
    assert names(tmp_path) == []
