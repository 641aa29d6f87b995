"""Time, as a thing one is handed: real in production, moved by hand in tests."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day and measures spans."""

    def now(self) -> datetime:
        """The time of day, in UTC and aware of it."""
        ...

    def monotonic(self) -> float:
        """Seconds on a scale that never goes back; only differences mean anything."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """The time of day, in UTC and aware of it."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds on a scale that never goes back; only differences mean anything."""
        return time.monotonic()
