"""The promises of a blob store, held by the one on disk and by its twin in memory."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infrastructure.blobs.base import (
    BLOCK_BYTES,
    BadBlobKey,
    BlobExists,
    BlobKey,
    BlobNotFound,
    BlobStore,
    InsufficientStorage,
    new_blob_key,
)
from infrastructure.blobs.disk import DiskBlobStore
from infrastructure.blobs.memory import MemoryBlobStore

TENANT = "acme"
MANY = 1_000

# Around every edge: nothing, one byte, one block and its neighbours, several blocks.
SIZES = (0, 1, 4_096, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 17)


@pytest.fixture(params=["disk", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    makers: dict[str, Callable[[], BlobStore]] = {
        "disk": lambda: DiskBlobStore(tmp_path / "blobs"),
        "memory": MemoryBlobStore,
    }
    made = makers[request.param]()
    yield made
    await made.close()


def bytes_of(size: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size)


async def put(store: BlobStore, content: bytes, key: BlobKey | None = None) -> BlobKey:
    key, chunk = key or new_blob_key(TENANT), 65_536
    async with await store.write(key) as writer:
        for at in range(0, len(content), chunk):
            await writer.write(content[at : at + chunk])
        await writer.commit()
    return key


async def read(store: BlobStore, key: BlobKey, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([block async for block in store.open(key, start, end)])


async def keys(store: BlobStore) -> set[BlobKey]:
    return {entry.key for entry in await store.page(None, MANY)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("chunk", [1_000, 65_536, 5 * BLOCK_BYTES])
async def test_what_was_written_is_read_back(store: BlobStore, size: int, chunk: int) -> None:
    content = bytes_of(size)
    key = new_blob_key(TENANT)

    async with await store.write(key) as writer:
        for at in range(0, len(content), chunk):
            await writer.write(content[at : at + chunk])
        written = await writer.commit()

    assert (written.key, written.size_bytes) == (key, size)
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    assert await store.size(key) == size
    assert await read(store, key) == content


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 0), (0, 1), (5, 5), (1, 10), (BLOCK_BYTES - 3, BLOCK_BYTES + 3), (7, None), (0, 10**9)],
)
async def test_a_part_can_be_read(store: BlobStore, start: int, end: int | None) -> None:
    content = bytes_of(2 * BLOCK_BYTES + 5)
    key = await put(store, content)

    assert await read(store, key, start, end) == content[start:end]


async def test_nothing_is_visible_before_the_commit(store: BlobStore) -> None:
    key = new_blob_key(TENANT)
    writer = await store.write(key)
    await writer.write(bytes_of(2 * BLOCK_BYTES))

    with pytest.raises(BlobNotFound):
        await store.size(key)
    assert await keys(store) == set()

    await writer.commit()
    assert await keys(store) == {key}


@pytest.mark.parametrize("size", [10, 3 * BLOCK_BYTES])
async def test_a_writer_that_fails_leaves_nothing(store: BlobStore, size: int) -> None:
    key = new_blob_key(TENANT)

    async def write_and_fail() -> None:
        async with await store.write(key) as writer:
            await writer.write(bytes_of(size))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write_and_fail()

    with pytest.raises(BlobNotFound):
        await read(store, key)
    assert await store.discard_unfinished(datetime.now(UTC) + timedelta(hours=1)) == 0


@pytest.mark.parametrize("size", [10, 3 * BLOCK_BYTES])
async def test_a_writer_that_is_cancelled_leaves_nothing(store: BlobStore, size: int) -> None:
    key = new_blob_key(TENANT)
    has_written = asyncio.Event()

    async def write_and_wait() -> None:
        async with await store.write(key) as writer:
            await writer.write(bytes_of(size))
            has_written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await has_written.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await keys(store) == set()
    assert await store.discard_unfinished(datetime.now(UTC) + timedelta(hours=1)) == 0


async def test_abort_after_commit_keeps_the_blob(store: BlobStore) -> None:
    key = new_blob_key(TENANT)
    writer = await store.write(key)
    await writer.write(b"kept")
    await writer.commit()

    await writer.abort()

    assert await read(store, key) == b"kept"


async def test_a_blob_is_written_once(store: BlobStore) -> None:
    key = await put(store, b"first")

    with pytest.raises(BlobExists):
        await put(store, b"second", key)

    assert await read(store, key) == b"first"


async def test_a_deleted_blob_is_gone(store: BlobStore) -> None:
    key = await put(store, b"short life")

    assert await store.delete(key) is True
    assert await store.delete(key) is False
    with pytest.raises(BlobNotFound):
        await store.size(key)
    with pytest.raises(BlobNotFound):
        await read(store, key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "acme",
        "acme/",
        "../etc/passwd",
        "acme/../../etc/passwd",
        "/acme/0192d3a0-0000-7000-8000-000000000000",
        "acme/0192d3a0-0000-7000-8000-00000000000",
        "acme/0192d3a0-0000-7000-8000-000000000000/x",
        "acme/0192D3A0-0000-7000-8000-000000000000",
        ".incoming/0192d3a0-0000-7000-8000-000000000000",
        "a\x00c/0192d3a0-0000-7000-8000-000000000000",
        "acme/0192d3a0-0000-7000-8000-000000000000\n",
    ],
)
async def test_only_a_key_is_a_key(store: BlobStore, key: str, tmp_path: Path) -> None:
    bad = BlobKey(key)

    with pytest.raises(BadBlobKey):
        await store.write(bad)
    with pytest.raises(BadBlobKey):
        await store.size(bad)
    with pytest.raises(BadBlobKey):
        await store.delete(bad)
    with pytest.raises(BadBlobKey):
        store.local_path(bad)
    with pytest.raises(BadBlobKey):
        await read(store, bad)
    with pytest.raises(BadBlobKey):
        await store.copy_to(bad, tmp_path / "copy")


@pytest.mark.parametrize("tenant", ["", ".", "..", "a/b", "a b", "ü", "x" * 65])
def test_a_tenant_that_cannot_be_a_folder_gets_no_key(tenant: str) -> None:
    with pytest.raises(BadBlobKey):
        new_blob_key(tenant)


async def test_blobs_are_listed_by_age(store: BlobStore) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    key = await put(store, b"12345")

    entries = await store.page(None, MANY)

    assert [(e.key, e.size_bytes) for e in entries] == [(key, 5)]
    assert before < entries[0].written_at < datetime.now(UTC) + timedelta(seconds=5)


async def test_the_listing_goes_on_where_it_stopped(store: BlobStore) -> None:
    written = {
        await put(store, b"x", new_blob_key(t)) for t in ("acme", "b-2", "b") for _ in "1234"
    }
    listed: list[BlobKey] = []
    pages = []
    while page := await store.page(listed[-1] if listed else None, 5):
        pages.append(len(page))
        listed += [entry.key for entry in page]
        # What is behind does not move when what is before it goes.
        await store.delete(listed[-1])
        await put(store, b"young", listed[-1])

    assert pages == [5, 5, 2]
    assert len(listed) == len(written)
    assert set(listed) == written
    await store.delete(listed[6])
    assert [entry.key for entry in await store.page(listed[6], MANY)] == listed[7:]


async def test_what_a_crashed_writer_left_is_discarded_by_age(store: BlobStore) -> None:
    writer = await store.write(new_blob_key(TENANT))
    await writer.write(bytes_of(2 * BLOCK_BYTES))

    assert await store.discard_unfinished(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert await store.discard_unfinished(datetime.now(UTC) + timedelta(hours=1)) == 1

    assert await keys(store) == set()
    await writer.abort()


async def test_a_local_file_becomes_a_blob_and_a_blob_a_local_file(
    store: BlobStore, tmp_path: Path
) -> None:
    content = bytes_of(2 * BLOCK_BYTES + 3)
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(content)
    key = new_blob_key(TENANT)

    written = await store.write_file(key, source)
    copied = await store.copy_to(key, copy)

    assert written.sha256 == hashlib.sha256(content).hexdigest()
    assert written.size_bytes == copied == len(content)
    assert copy.read_bytes() == content
    copy.write_bytes(b"a tool scribbles on its input")
    assert await read(store, key) == content


async def test_a_copy_replaces_nothing(store: BlobStore, tmp_path: Path) -> None:
    key = await put(store, b"blob")
    taken = tmp_path / "taken"
    taken.write_bytes(b"mine")

    with pytest.raises(FileExistsError):
        await store.copy_to(key, taken)

    assert taken.read_bytes() == b"mine"


async def test_a_missing_blob_cannot_be_copied(store: BlobStore, tmp_path: Path) -> None:
    key = new_blob_key(TENANT)

    with pytest.raises(BlobNotFound):
        await store.copy_to(key, tmp_path / "copy")
    with pytest.raises(BlobNotFound):
        store.local_path(key)

    assert not (tmp_path / "copy").exists()


async def test_many_writers_do_not_disturb_each_other(store: BlobStore) -> None:
    contents = [bytes_of(random.Random(n).randrange(3 * BLOCK_BYTES), n) for n in range(20)]

    written = await asyncio.gather(*(put(store, content) for content in contents))

    assert len(set(written)) == len(contents)
    for key, content in zip(written, contents, strict=True):
        assert await read(store, key) == content


async def test_the_store_says_when_it_is_full(tmp_path: Path) -> None:
    store = MemoryBlobStore(capacity_bytes=1_000)
    kept = await put(store, bytes_of(900))

    with pytest.raises(InsufficientStorage):
        await put(store, bytes_of(200))

    assert await keys(store) == {kept}


async def test_a_file_that_cannot_be_read_becomes_no_blob(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await store.write_file(new_blob_key(TENANT), tmp_path / "missing")

    assert await keys(store) == set()
    assert await store.discard_unfinished(datetime.now(UTC) + timedelta(hours=1)) == 0


async def test_a_local_file_does_not_replace_a_blob(store: BlobStore, tmp_path: Path) -> None:
    key = await put(store, b"first")
    source = tmp_path / "source"
    source.write_bytes(b"second")

    with pytest.raises(BlobExists):
        await store.write_file(key, source)

    assert await read(store, key) == b"first"
    assert await store.discard_unfinished(datetime.now(UTC) + timedelta(hours=1)) == 0
