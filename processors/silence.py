"""Knows which attempts have been silent for a whole lease, by having watched them itself.

It trusts no clock but its own, and no time in which it was not looking: a lease is silent only
after its heartbeats stood still through a full period of looks. Time out of touch with Postgres is
no part of that period, as the workers may have been out of touch too. What was watched before it
is: but nothing is named until the looks have been unbroken for so long again that every living
worker has been heard.
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

    def __init__(
        self, lease_seconds: float, gap_seconds_max: float, reconnect_seconds: float
    ) -> None:
        """A pause of more than `gap_seconds_max` between two looks is time not watched.

        `reconnect_seconds` after such a pause, every living worker has been heard.
        """
        self._lease_seconds = lease_seconds
        self._gap_seconds_max = gap_seconds_max
        self._reconnect_seconds = reconnect_seconds
        self._seen: dict[UUID, _Seen] = {}
        self._is_in_touch = False
        self._looked_at = 0.0
        self._back_at = 0.0

    def lose_touch(self) -> None:
        """Nothing is watched from the last look until the next."""
        self._is_in_touch = False

    def look(self, asked_at: float, answered_at: float, pulses: Iterable[Pulse]) -> list[Pulse]:
        """Take in what runs; returns what has been silent for too long.

        The pulses were read between the two moments, on our own scale.
        """
        if not self._is_in_touch or answered_at - self._looked_at > self._gap_seconds_max:
            self._come_back(answered_at)
        self._is_in_touch, self._looked_at = True, max(asked_at, self._back_at)
        is_fair = asked_at - self._back_at >= self._reconnect_seconds
        before, self._seen = self._seen, {}
        silent = []
        for pulse in pulses:
            seen = before.get(pulse.job_id)
            if seen is None or seen.pulse != pulse:
                seen = _Seen(pulse, answered_at)
            elif is_fair and asked_at - seen.since >= self._lease_seconds:
                silent.append(pulse)
            self._seen[pulse.job_id] = seen
        return silent

    def next_at(self) -> float | None:
        """When the first of them would have been silent for too long; None if there are none."""
        since = min((seen.since for seen in self._seen.values()), default=None)
        if since is None:
            return None
        return max(since + self._lease_seconds, self._back_at + self._reconnect_seconds)

    def begin_anew(self, pulse: Pulse) -> None:
        """This one was ended, or there is nothing to end; watch it for another period."""
        self._seen.pop(pulse.job_id, None)

    def _come_back(self, now: float) -> None:
        # As if the time that was not watched had not been.
        away = now - self._looked_at
        for seen in self._seen.values():
            seen.since += away
        self._back_at = now
