"""The private folder of a run."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from processors.tools.base import InputFile
from processors.workspace import InputDamaged, Workspace, remove_tree, sweep

CONTENT = b"some bytes of somebody"


async def chunks(content: bytes, size: int = 5) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def in_folder(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def put(workspace: Workspace, content: bytes = CONTENT, **described: Any) -> InputFile:
    description: dict[str, Any] = {
        "filename": "../../evil\0name.txt",
        "media_type": "text/plain",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        **described,
    }
    return await workspace.add(chunks(content), **description)


async def test_an_input_lies_read_only_at_a_path_that_says_nothing(tmp_path: Path) -> None:
    async with Workspace(tmp_path) as workspace:
        first, second = await put(workspace), await put(workspace, b"")

        assert first.path.read_bytes() == CONTENT
        assert first.path.stat().st_mode & 0o777 == 0o400
        assert (first.path.name, second.path.name) == ("1", "2")
        assert first.filename == "../../evil\0name.txt"
        assert workspace.folder not in first.path.parents


async def test_the_folder_is_private_and_goes_at_the_end(tmp_path: Path) -> None:
    async with Workspace(tmp_path) as workspace:
        await put(workspace)
        (workspace.folder / "left over").write_text("x")

        folder = workspace.folder.parent
        assert folder.stat().st_mode & 0o777 == 0o700

    assert in_folder(tmp_path) == []


async def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    async with Workspace(tmp_path) as workspace:
        assert not workspace.folder.exists()

    async with Workspace(tmp_path) as workspace:
        await workspace.make()
        await workspace.make()
        assert in_folder(workspace.folder) == []

    assert in_folder(tmp_path) == []


@pytest.mark.parametrize(
    "described",
    [
        {"size_bytes": len(CONTENT) + 1},
        {"size_bytes": len(CONTENT) - 1},
        {"sha256": hashlib.sha256(b"other").hexdigest()},
    ],
)
async def test_bytes_that_are_not_those_described_are_refused(
    tmp_path: Path, described: dict[str, Any]
) -> None:
    with pytest.raises(InputDamaged):
        async with Workspace(tmp_path) as workspace:
            await put(workspace, **described)

    assert in_folder(tmp_path) == []


async def test_the_folder_goes_also_when_its_run_is_cancelled_twice(tmp_path: Path) -> None:
    made = asyncio.Event()

    async def run() -> None:
        async with Workspace(tmp_path) as workspace:
            await put(workspace)
            for number in range(500):
                (workspace.folder / str(number)).touch()
            made.set()
            await asyncio.sleep(3_600)

    task = asyncio.create_task(run())
    await asyncio.wait_for(made.wait(), 30)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert in_folder(tmp_path) == []


async def test_a_sweep_takes_what_a_dead_worker_left_and_spares_what_is_used(
    tmp_path: Path,
) -> None:
    async with Workspace(tmp_path) as workspace:
        await put(workspace)
        left = tmp_path / "run-left"
        (left / "work").mkdir(parents=True)
        os.utime(left, (0, 0))
        os.utime(workspace.folder.parent, (0, 0))

        assert sweep(tmp_path, older_than_seconds=60) == 1
        assert not left.exists()
        assert workspace.folder.exists()


def test_a_sweep_spares_what_is_young_or_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "run-young").mkdir()
    stranger = tmp_path / "precious"
    stranger.mkdir()
    os.utime(stranger, (0, 0))

    assert sweep(tmp_path, older_than_seconds=60) == 0
    assert sweep(tmp_path / "nowhere", older_than_seconds=60) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"run-young", "precious"}


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("down", dir_fd=here)
        below = os.open("down", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)

    remove_tree(folder)

    assert in_folder(tmp_path) == []


def test_a_link_in_a_tree_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    folder = tmp_path / "folder"
    (folder / "locked").mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    (folder / "locked" / "link").symlink_to(outside)
    (folder / "locked").chmod(0)
    folder.chmod(0)

    remove_tree(folder)

    assert (outside / "precious").read_text() == "x"
    assert not folder.exists()


def test_a_large_tree_is_removed_quickly(tmp_path: Path) -> None:
    folder = tmp_path / "wide"
    for number in range(100):
        (folder / str(number)).mkdir(parents=True)
        for name in range(20):
            (folder / str(number) / str(name)).touch()
    started = time.monotonic()

    remove_tree(folder)

    assert time.monotonic() - started < 30
