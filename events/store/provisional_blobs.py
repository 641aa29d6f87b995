"""Blobs that nothing in the log refers to yet, and what becomes of them.

They are deleted when the work that made them ends, unless they were recorded. When it is unknown
whether they were (the connection broke during the append, or a request was cancelled then), they
stay: a blob without a reference is found by the sweeper, one that is missing is lost for ever.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import structlog

from events.domain.errors import DomainError
from events.store.repository import (
    CommandRepeated,
    LogUnavailable,
    OutcomeUnknown,
    StreamConflict,
)
from infrastructure import metrics
from infrastructure.blobs.base import BlobError, BlobKey, BlobStore, new_blob_key

log = structlog.get_logger(__name__)


class ProvisionalBlobs:
    """The blobs of one request, or of one piece of work."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._keys: list[BlobKey] = []

    def add(self, key: BlobKey) -> None:
        """Take over a blob that was just written."""
        self._keys.append(key)

    def adopt(self, other: "ProvisionalBlobs") -> None:
        """Take over the blobs of a smaller piece of work that went well."""
        self._keys += other._keys
        other._keys = []

    async def copy(self, source: BlobKey, tenant: str) -> BlobKey:
        """A copy of a blob, with a life of its own; raises BlobNotFound, InsufficientStorage."""
        key = new_blob_key(tenant)
        self.add(key)
        path = self._store.local_path(source)
        if path is not None:
            await self._store.write_file(key, path)
            return key
        async with await self._store.write(key) as writer:
            async for block in self._store.open(source):
                await writer.write(block)
            await writer.commit()
        return key

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Around the save that refers to them: afterwards they stay, unless it surely failed."""
        try:
            yield
        except (DomainError, StreamConflict, CommandRepeated):
            raise
        except LogUnavailable as error:
            if isinstance(error, OutcomeUnknown):
                self._keys.clear()
            raise
        except BaseException:
            self._keys.clear()
            raise
        self._keys.clear()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Delete what is still provisional; a cancellation of the request does not stop it."""
        if self._keys:
            await asyncio.shield(asyncio.ensure_future(self._delete()))

    async def _delete(self) -> None:
        keys, self._keys = self._keys, []
        for key in keys:
            try:
                if await self._store.delete(key):
                    metrics.BLOBS_DELETED.labels("refused").inc()
            except (BlobError, OSError) as error:
                # The sweeper will find it.
                log.warning("blob_not_deleted", kind=type(error).__name__)
