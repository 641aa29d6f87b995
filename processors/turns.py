"""Whose turn it is: which of many lanes goes next.

A higher priority goes before a lower one, but waiting counts: each `aging_seconds` that the oldest
job of a priority has waited raise that priority by one step, so that a lower one never starves.
Within a priority the tenants take turns, job by job, however many jobs each has (a round robin, in
which every job costs the same). Within a tenant's turn the oldest job goes.
"""

import heapq
from collections import OrderedDict
from datetime import datetime
from typing import Final

from processors.lanes import Lane

STALE_MIN: Final = 64
"""So many entries that are out of date are worth no tidying."""

Heap = list[tuple[int, int, Lane]]
"""Lanes by the place of their heads, with the number of the entry."""


def standing(priority: int, waited_seconds: float, aging_seconds: float) -> int:
    """What a priority counts for after its oldest job has waited for so long."""
    return priority + int(max(waited_seconds, 0.0) / aging_seconds)


class _Band:
    """The lanes of one priority."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, Heap] = OrderedDict()
        """Of each tenant, in the order of their turns; a line is a heap by the place of its head.

        What is in a heap may be out of date, and is checked when it comes up.
        """
        self._ages: Heap = []

    def enter(self, lane: Lane, place: int, members: dict[Lane, int]) -> None:
        entry = (place, members[lane], lane)
        heapq.heappush(self._lines.setdefault(lane.key.tenant, []), entry)
        heapq.heappush(self._ages, entry)
        if len(self._ages) > STALE_MIN + 2 * len(members):
            self._ages = _valid(self._ages, members)
            for tenant, line in self._lines.items():
                self._lines[tenant] = _valid(line, members)

    def next(self, members: dict[Lane, int]) -> Lane | None:
        while self._lines:
            tenant, line = next(iter(self._lines.items()))
            lane = _first(line, members)
            if lane is None:
                del self._lines[tenant]
                continue
            heapq.heappop(line)
            # The others of this tenant wait until all tenants had their turn.
            self._lines.move_to_end(tenant)
            return lane
        return None

    def oldest(self, members: dict[Lane, int]) -> datetime | None:
        lane = _first(self._ages, members)
        head = None if lane is None else lane.head
        return None if head is None else head.since


class Turns:
    """Lanes that want to go, and the order in which they do."""

    def __init__(self, aging_seconds: float) -> None:
        self._aging_seconds = aging_seconds
        self._bands: dict[int, _Band] = {}
        self._members: dict[Lane, int] = {}
        """Each lane that is in, with the number of its latest entry."""
        self._entries = 0

    def __len__(self) -> int:
        return len(self._members)

    def enter(self, lane: Lane) -> None:
        """Let a lane take part with its first job, or go on with another one."""
        head = lane.head
        if head is None:
            self.leave(lane)
            return
        band = self._bands.get(lane.key.priority)
        if band is None:
            band = self._bands[lane.key.priority] = _Band()
        self._entries += 1
        self._members[lane] = self._entries
        band.enter(lane, head.place, self._members)

    def leave(self, lane: Lane) -> None:
        """Let a lane take no part any more."""
        self._members.pop(lane, None)

    def next(self, now: datetime) -> Lane | None:
        """Take out the lane whose turn it is; whoever lets it go on enters it again."""
        while self._bands:
            priority = self._best(now) if len(self._bands) > 1 else next(iter(self._bands))
            lane = self._bands[priority].next(self._members) if priority is not None else None
            if lane is not None:
                del self._members[lane]
                return lane
            if priority is not None:
                del self._bands[priority]
        # Whoever is left has no job any more.
        self._members.clear()
        return None

    def _best(self, now: datetime) -> int | None:
        best: tuple[int, int] | None = None
        for priority, band in list(self._bands.items()):
            oldest = band.oldest(self._members)
            if oldest is None:
                del self._bands[priority]
                continue
            waited = (now - oldest).total_seconds()
            rank = (standing(priority, waited, self._aging_seconds), priority)
            best = rank if best is None else max(best, rank)
        return None if best is None else best[1]


def _first(heap: Heap, members: dict[Lane, int]) -> Lane | None:
    """The first lane of a heap whose entry still holds."""
    while heap:
        _, number, lane = heap[0]
        if members.get(lane) == number and lane.head is not None:
            return lane
        heapq.heappop(heap)
    return None


def _valid(heap: Heap, members: dict[Lane, int]) -> Heap:
    """A heap without what is out of date."""
    valid = [entry for entry in heap if members.get(entry[2]) == entry[1]]
    heapq.heapify(valid)
    return valid
