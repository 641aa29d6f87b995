"""Whether a failed attempt is followed by another, and when: pure arithmetic.

Exponential backoff with jitter: the delay before attempt n+1 is `first * factor**(n-1)`, at most
the cap, times a factor between `1 - jitter` and `1 + jitter`, so that jobs which failed together do
not come back together. A budget ends the patience by time, whatever number of attempts is left.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Self

EXPONENT_MAX = 30


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient we are with transient failures."""

    attempts_max: int = 5
    first_seconds: float = 2.0
    factor: float = 2.0
    cap_seconds: float = 600.0
    jitter: float = 0.5
    budget_seconds: float | None = None
    """No attempt begins later than so long after the first one did; None: there is no such end."""

    @classmethod
    def of(cls, attempts_max: int, terms: Mapping[str, Any] | None) -> Self:
        """The policy that these terms describe; see `terms`."""
        return cls(attempts_max, **(terms or {}))

    @property
    def terms(self) -> dict[str, Any] | None:
        """What differs from the default, but for the number of attempts; None if nothing does."""
        default = asdict(type(self)(self.attempts_max))
        differing = {name: value for name, value in asdict(self).items() if value != default[name]}
        return differing or None

    def delay_seconds(self, attempt: int, jitter: float) -> float | None:
        """The wait before the next attempt, or None when there is none.

        `attempt` is the number of the attempt that failed, from 1; `jitter` is in [0, 1).
        """
        if attempt >= self.attempts_max:
            return None
        exponent = min(attempt - 1, EXPONENT_MAX)
        delay = min(self.cap_seconds, self.first_seconds * self.factor**exponent)
        return float(delay * (1 + self.jitter * (2 * jitter - 1)))

    def retry_at(
        self, attempt: int, jitter: float, first_began: datetime, now: datetime
    ) -> datetime | None:
        """When the next attempt may begin, or None when there is none."""
        delay = self.delay_seconds(attempt, jitter)
        if delay is None:
            return None
        at = now + timedelta(seconds=delay)
        return at if self.allows(first_began, at) else None

    def allows(self, first_began: datetime, at: datetime) -> bool:
        """Whether an attempt may still begin at that time."""
        if self.budget_seconds is None:
            return True
        return at <= first_began + timedelta(seconds=self.budget_seconds)
