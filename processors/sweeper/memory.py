"""The references to blobs in memory: a twin of those in PostgreSQL, held to the same tests."""

from collections.abc import Sequence
from uuid import UUID

from events.store.codec import Codec
from infrastructure.blobs.base import BlobKey
from processors.sweeper.references import TOPICS, Holding, ReferenceChanges, Standing
from processors.tail import Tail

EVENTS_MAX = 1_000


class MemoryReferences:
    """Folds any log into a dictionary."""

    def __init__(self, log: Tail) -> None:
        self._log = log
        self._codec = Codec()
        self._position = 0
        self._place: BlobKey | None = None
        self._named: dict[Holding, set[UUID]] = {}

    async def begin(self) -> Standing:
        """See `References.begin`."""
        first = await self._log.read_after(0, 1)
        return Standing(first[0].recorded_at if first else None, self._place)

    async def catch_up(self) -> bool:
        """See `References.catch_up`."""
        changes = ReferenceChanges()
        rows = await self._log.read_after(self._position, EVENTS_MAX)
        for row in rows:
            if row.topic in TOPICS:
                changes.fold(row, self._codec.decode_row(row).fact)
            self._position = row.position
        for holding in changes.let_go:
            self._named.pop(holding, None)
        for holding, ids in changes.named.items():
            self._named.setdefault(holding, set()).update(ids)
        return len(rows) < EVENTS_MAX

    async def unreferenced(self, blob_ids: Sequence[UUID]) -> set[UUID]:
        """See `References.unreferenced`."""
        return set(blob_ids).difference(*self._named.values())

    async def keep_place(self, place: BlobKey | None) -> None:
        """See `References.keep_place`."""
        self._place = place

    async def close(self) -> None:
        """Nothing to let go of."""
