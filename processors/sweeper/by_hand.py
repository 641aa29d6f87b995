"""One pass over all blobs at once, for an operator: what would go, or what went."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from infrastructure.blobs.base import BlobEntry
from processors.sweeper.inspection import SLICE_BLOBS_MAX, Inspection, Slice
from processors.sweeper.service import CONFIRM_SECONDS, DELETED_AT_ONCE_MAX

Wait = Callable[[float], Awaitable[object]]


@dataclass(slots=True)
class Report:
    """What a pass found and did."""

    blobs: int = 0
    bytes: int = 0
    unreferenced: int = 0
    unreferenced_bytes: int = 0
    deleted: int = 0
    deleted_bytes: int = 0

    def add(self, found: Slice) -> None:
        """Count what a look found."""
        self.blobs += found.looked_at
        self.bytes += found.bytes
        self.unreferenced += len(found.unreferenced)
        self.unreferenced_bytes += sum(entry.size_bytes for entry in found.unreferenced)


async def sweep(inspection: Inspection, *, dry_run: bool, wait: Wait = asyncio.sleep) -> Report:
    """Look at every blob, and unless it is only to be told, delete those that nobody needs.

    It waits `CONFIRM_SECONDS` before it deletes, and asks again, as the sweeper does. It needs no
    lead: whatever two of them find, it is found twice by each, and a blob is deleted once.
    """
    report, suspects = Report(), list[BlobEntry]()
    await inspection.begin(anew=True)
    is_last = False
    while not is_last:
        found = await inspection.look()
        if found is None:
            continue
        report.add(found)
        is_last = found.is_last
        suspects += [] if dry_run else found.unreferenced
        if suspects and (is_last or len(suspects) > SLICE_BLOBS_MAX):
            await wait(CONFIRM_SECONDS)
            await _delete(inspection, suspects, report)
            suspects = []
    return report


async def _delete(inspection: Inspection, suspects: list[BlobEntry], report: Report) -> None:
    for first in range(0, len(suspects), DELETED_AT_ONCE_MAX):
        some = suspects[first : first + DELETED_AT_ONCE_MAX]
        while (swept := await inspection.delete(some)) is None:
            continue
        report.deleted += swept.blobs
        report.deleted_bytes += swept.bytes
