"""Looks through the blob store a slice at a time, and tells which blobs nobody needs.

A blob is written before the fact that names it is appended; how long before is bounded by what a
request and an attempt may take, and the grace is longer than any. So a blob that is older than the
grace, and that no fact names up to the head of the log as it was read after that, is never going to
be named. Whatever is not sure is kept: a blob that is older than the log belongs to another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from infrastructure import metrics
from infrastructure.blobs.base import BlobEntry, BlobError, BlobKey, BlobStore, blob_id_of
from infrastructure.clock import Clock
from processors.sweeper.references import References

SLICE_BLOBS_MAX: Final = 5_000

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Slice:
    """What one look found."""

    looked_at: int = 0
    bytes: int = 0
    unreferenced: list[BlobEntry] = field(default_factory=list)
    is_last: bool = False


@dataclass(slots=True)
class Swept:
    """What was deleted."""

    blobs: int = 0
    bytes: int = 0


class Inspection:
    """One pass after the other; each goes on where the last look stopped."""

    def __init__(
        self, references: References, blobs: BlobStore, grace_seconds: float, clock: Clock
    ) -> None:
        self._references = references
        self._blobs = blobs
        self._grace = timedelta(seconds=grace_seconds)
        self._clock = clock
        self._log_began: datetime | None = None
        self._place: BlobKey | None = None

    async def begin(self, *, anew: bool = False) -> None:
        """Begin a pass, or go on with the one that was broken off."""
        standing = await self._references.begin()
        self._log_began = standing.log_began
        self._place = None if anew else standing.place

    async def look(self) -> Slice | None:
        """Look at the next blobs; None while the references lag behind the log: ask again."""
        before = self._clock.now() - self._grace
        if not await self._references.catch_up():
            return None
        page = await self._blobs.page(self._place, SLICE_BLOBS_MAX)
        began = self._log_began or before
        old = [entry for entry in page if began <= entry.written_at < before]
        found = await self._unreferenced(old)
        is_last = len(page) < SLICE_BLOBS_MAX
        self._place = None if is_last else page[-1].key
        return Slice(len(page), sum(entry.size_bytes for entry in page), found, is_last)

    async def keep_place(self) -> None:
        """Let the next pass begin here if this one is broken off."""
        await self._references.keep_place(self._place)

    async def delete(self, suspects: Sequence[BlobEntry]) -> Swept | None:
        """Delete those that still nobody needs; None while the references lag: ask again."""
        if not await self._references.catch_up():
            return None
        swept = Swept()
        for entry in await self._unreferenced(suspects):
            try:
                is_deleted = await self._blobs.delete(entry.key)
            except (BlobError, OSError) as error:
                # The next pass will find it again.
                log.warning("blob_not_deleted", kind=type(error).__name__)
                continue
            swept.blobs += is_deleted
            swept.bytes += entry.size_bytes if is_deleted else 0
        metrics.BLOBS_DELETED.labels("unreferenced").inc(swept.blobs)
        metrics.BLOB_BYTES_SWEPT.inc(swept.bytes)
        if swept.blobs:
            log.info("blobs_swept", blobs=swept.blobs, bytes=swept.bytes)
        return swept

    async def discard_unfinished(self) -> int:
        """Remove what crashed writers left behind."""
        return await self._blobs.discard_unfinished(self._clock.now() - self._grace)

    async def close(self) -> None:
        """Let go of what it asks."""
        await self._references.close()

    async def _unreferenced(self, entries: Sequence[BlobEntry]) -> list[BlobEntry]:
        if not entries:
            return []
        ids = [blob_id_of(entry.key) for entry in entries]
        found = await self._references.unreferenced(ids)
        return [entry for entry, id_ in zip(entries, ids, strict=True) if id_ in found]
