"""Blobs of a request: deleted with a refusal, kept when they are or may be referred to."""

import asyncio
from uuid import uuid4

import pytest

from events.domain.errors import ScheduleNotFound
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import (
    Answer,
    CommandRepeated,
    LogUnavailable,
    OutcomeUnknown,
    StreamConflict,
)
from infrastructure.blobs.base import BlobKey, BlobNotFound, new_blob_key
from infrastructure.blobs.memory import MemoryBlobStore


async def written(store: MemoryBlobStore, content: bytes = b"bytes") -> BlobKey:
    """A new blob."""
    async with await store.write(new_blob_key("acme")) as writer:
        await writer.write(content)
        return (await writer.commit()).key


async def is_there(store: MemoryBlobStore, key: BlobKey) -> bool:
    """Whether the blob exists."""
    try:
        await store.size(key)
    except BlobNotFound:
        return False
    return True


async def test_what_was_not_recorded_is_deleted() -> None:
    store = MemoryBlobStore()
    key = await written(store)

    async with ProvisionalBlobs(store) as blobs:
        blobs.add(key)
        copy = await blobs.copy(key, "acme")

    assert not await is_there(store, key)
    assert not await is_there(store, copy)


async def test_what_was_recorded_stays() -> None:
    store = MemoryBlobStore()
    key = await written(store)

    async with ProvisionalBlobs(store) as blobs:
        blobs.add(key)
        with blobs.recording():
            pass

    assert await is_there(store, key)


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (ScheduleNotFound(), False),
        (StreamConflict(), False),
        (CommandRepeated(Answer(b"", uuid4(), 1)), False),
        (LogUnavailable(), False),
        (OutcomeUnknown(), True),
        (asyncio.CancelledError(), True),
        (RuntimeError(), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_a_failed_save_deletes_only_what_surely_was_not_recorded(
    error: BaseException, stays: bool
) -> None:
    store = MemoryBlobStore()
    key = await written(store)

    async def request() -> None:
        async with ProvisionalBlobs(store) as blobs:
            blobs.add(key)
            with blobs.recording():
                raise error

    with pytest.raises(type(error)):
        await request()

    assert await is_there(store, key) is stays


async def test_a_request_that_is_cancelled_before_the_save_leaves_nothing() -> None:
    store = MemoryBlobStore()
    key = await written(store)
    inside = asyncio.Event()

    async def request() -> None:
        async with ProvisionalBlobs(store) as blobs:
            blobs.add(key)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(request())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not await is_there(store, key)


async def test_a_copy_has_the_same_bytes_and_a_life_of_its_own() -> None:
    store = MemoryBlobStore()
    key = await written(store, b"the bytes")

    async with ProvisionalBlobs(store) as blobs:
        copy = await blobs.copy(key, "acme")
        with blobs.recording():
            pass
    await store.delete(key)

    assert b"".join([block async for block in store.open(copy)]) == b"the bytes"


async def test_a_copy_of_what_is_gone_is_refused() -> None:
    store = MemoryBlobStore()

    async with ProvisionalBlobs(store) as blobs:
        with pytest.raises(BlobNotFound):
            await blobs.copy(new_blob_key("acme"), "acme")
