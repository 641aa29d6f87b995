"""Carries what a committed batch changed from the runner to live status, and never holds it up.

When the other side falls behind, the feed lets go of everything and says so; live status then heals
itself from Postgres.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from projectors.batches import JobState

CHANGES_WAITING_MAX: Final = 200
"""Batches that wait at most; with the largest batches that is a few megabytes."""


@dataclass(frozen=True, slots=True)
class Change:
    """What lies between two positions."""

    after: int
    position: int
    jobs: Sequence[JobState]


class LiveFeed:
    """A bounded queue from one runner to one live status."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self.wake = wake
        self._changes: list[Change] = []

    def offer(self, change: Change) -> None:
        """Hand over one batch; never waits."""
        if len(self._changes) >= CHANGES_WAITING_MAX:
            self._changes.clear()
        self._changes.append(change)
        self.wake()

    def take_all(self) -> Sequence[Change]:
        """What waits, oldest first."""
        changes, self._changes = self._changes, []
        return changes
