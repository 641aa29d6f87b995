"""What the blob store on disk does beyond its contract: places, permissions, room, strays."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infrastructure.blobs import disk
from infrastructure.blobs.base import BLOCK_BYTES, BlobKey, new_blob_key
from infrastructure.blobs.disk import DiskBlobStore
from infrastructure.blobs.location import UnknownBlobLocation, blob_store_at
from infrastructure.health import CheckFailed
from infrastructure.ids import uuid7
from infrastructure.settings import BlobSettings


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskBlobStore]:
    made = DiskBlobStore(tmp_path / "deep" / "blobs")
    yield made
    await made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "blobs"


async def put(store: DiskBlobStore, content: bytes) -> BlobKey:
    key = new_blob_key("acme")
    async with await store.write(key) as writer:
        await writer.write(content)
        await writer.commit()
    return key


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_blob_lies_under_its_tenant_and_is_its_owners_alone(
    store: DiskBlobStore, folder: Path
) -> None:
    key = await put(store, b"private")

    tenant, blob_id = key.split("/")
    path = folder / tenant / blob_id[-2:] / blob_id
    assert files(folder) == [path]
    assert store.local_path(key) == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for parent in (path.parent, path.parent.parent, folder / ".incoming"):
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700


async def test_a_blob_and_the_folders_that_name_it_are_synced_before_the_commit_returns(
    store: DiskBlobStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def noting(number: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{number}").readlink().relative_to(folder)))
        real(number)

    monkeypatch.setattr(os, "fsync", noting)
    first = await put(store, b"small")
    assert synced[0].startswith(".incoming/")
    # The root names the tenant, the tenant its part, the part the blob.
    assert synced[1:] == [".", "acme", f"acme/{first[-2:]}"]

    synced.clear()
    second = await put(store, b"x" * (2 * BLOCK_BYTES + 1))
    assert synced[0].startswith(".incoming/")
    assert synced[-1] == f"acme/{second[-2:]}"


async def test_an_empty_blob_survives_a_new_store(store: DiskBlobStore, folder: Path) -> None:
    key = await put(store, b"")
    again = DiskBlobStore(folder)

    assert await again.size(key) == 0
    await again.close()


async def test_strays_are_neither_listed_nor_mistaken_for_blobs(
    store: DiskBlobStore, folder: Path
) -> None:
    key = await put(store, b"blob")
    (folder / "lost+found").mkdir()
    (folder / "README").write_text("x")
    (folder / "acme" / "ab").mkdir(exist_ok=True)
    (folder / "acme" / "ab" / "notes.txt").write_text("x")
    (folder / "acme" / "copies").mkdir()
    (folder / "acme" / "copies" / str(uuid7())).write_text("x")

    listed = [entry.key for entry in await store.page(None, 10)]

    assert listed == [key]


async def test_a_cancelled_commit_leaves_no_blob(
    store: DiskBlobStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, syncing = asyncio.get_running_loop(), asyncio.Event()
    real = os.fsync

    def slow(number: int) -> None:
        loop.call_soon_threadsafe(syncing.set)
        real(number)

    monkeypatch.setattr(os, "fsync", slow)
    task = asyncio.create_task(put(store, b"x" * 3 * BLOCK_BYTES))
    await syncing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert files(folder) == []


async def test_too_little_room_is_seen_in_readiness(
    store: DiskBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await store.check() is None

    monkeypatch.setattr(disk, "FREE_BYTES_MIN", 2**62)
    with pytest.raises(CheckFailed, match="disk full"):
        await store.check()


async def test_an_address_names_a_folder(tmp_path: Path) -> None:
    made = blob_store_at(BlobSettings(_env_file=None, blob_url=f"file://{tmp_path}/a%20b"))

    assert (tmp_path / "a b" / ".incoming").is_dir()
    await made.close()


@pytest.mark.parametrize("url", ["", "/plain/path", "file://host/path", "s3://bucket", "file:x"])
def test_another_address_is_refused_at_start(url: str) -> None:
    with pytest.raises(UnknownBlobLocation):
        blob_store_at(BlobSettings(_env_file=None, blob_url=url))
