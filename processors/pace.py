"""How many jobs of a queue should be on offer: as many as workers claim in a moment, and no more.

Whatever is on offer goes first come, first served; only what is not can still be overtaken by a
more urgent job, another tenant's, or a cancel. Too few on offer let workers wait. So the depth
follows the rate of claims, between a floor that keeps slow workers busy and a ceiling.
"""

from math import ceil, exp
from typing import Final

MEMORY_SECONDS: Final = 0.2
"""How quickly a change of the rate is believed."""


class Pace:
    """The rate of claims of one queue."""

    def __init__(self, floor: int, ceiling: int, cover_seconds: float) -> None:
        """What is on offer should last for `cover_seconds`."""
        self._floor = min(floor, ceiling)
        self._ceiling = ceiling
        self._cover_seconds = cover_seconds
        self._claims = 0
        self._rate = 0.0
        self._at = 0.0

    def claimed(self) -> None:
        """A worker claimed a job."""
        self._claims += 1

    def depth(self, now: float) -> int:
        """How many jobs should be on offer now."""
        passed = max(now - self._at, 0.0)
        self._rate = self._rate * exp(-passed / MEMORY_SECONDS) + self._claims / MEMORY_SECONDS
        self._claims, self._at = 0, now
        return max(self._floor, min(ceil(self._rate * self._cover_seconds), self._ceiling))
