"""Knows which attempts have been silent for a whole lease, by having watched them itself.

It trusts no clock but its own, and no time in which it was not looking: a lease is silent only
after its heartbeats stood still through a full period of unbroken looks. What it saw before it lost
touch with Postgres counts for nothing, as the workers may have lost touch too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Pulse:
    """A running attempt as the tables show it."""

    job_id: UUID
    lease: int
    beats: int | None
    """None: its worker has not beaten yet."""


@dataclass(slots=True)
class _Seen:
    pulse: Pulse
    since: float


class SilenceWatch:
    """Watches the pulses of all running attempts."""

    def __init__(self, lease_seconds: float, gap_seconds_max: float) -> None:
        """A pause of more than `gap_seconds_max` between two looks is time not watched."""
        self._lease_seconds = lease_seconds
        self._gap_seconds_max = gap_seconds_max
        self._seen: dict[UUID, _Seen] = {}
        self._looked_at: float | None = None

    def forget(self) -> None:
        """Touch was lost: begin anew."""
        self._seen.clear()
        self._looked_at = None

    def look(self, asked_at: float, answered_at: float, pulses: Iterable[Pulse]) -> list[Pulse]:
        """Take in what runs; returns what has been silent for too long.

        The pulses were read between the two moments, on our own scale.
        """
        if self._looked_at is not None and answered_at - self._looked_at > self._gap_seconds_max:
            self.forget()
        self._looked_at = answered_at
        before, self._seen = self._seen, {}
        silent = []
        for pulse in pulses:
            seen = before.get(pulse.job_id)
            if seen is None or seen.pulse != pulse:
                seen = _Seen(pulse, answered_at)
            elif asked_at - seen.since >= self._lease_seconds:
                silent.append(pulse)
            self._seen[pulse.job_id] = seen
        return silent

    def next_at(self) -> float | None:
        """When the first of them would have been silent for too long; None if there are none."""
        since = min((seen.since for seen in self._seen.values()), default=None)
        return None if since is None else since + self._lease_seconds

    def begin_anew(self, pulse: Pulse) -> None:
        """This one could not be ended, or was; watch it for another period."""
        self._seen.pop(pulse.job_id, None)
