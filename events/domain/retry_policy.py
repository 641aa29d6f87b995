"""Whether a failed attempt is followed by another, and when: pure arithmetic.

Exponential backoff with jitter: the delay before attempt n+1 is `base * 2**(n-1)`, at most `cap`,
times a factor between 0.5 and 1.5, so that jobs which failed together do not come back together.
"""

from dataclasses import dataclass

EXPONENT_MAX = 30


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient we are with transient failures."""

    attempts_max: int = 5
    base_seconds: float = 2.0
    cap_seconds: float = 600.0

    def delay_seconds(self, attempt: int, jitter: float) -> float | None:
        """The wait before the next attempt, or None when there is none.

        `attempt` is the number of the attempt that failed, from 1; `jitter` is in [0, 1).
        """
        if attempt >= self.attempts_max:
            return None
        exponent = min(attempt - 1, EXPONENT_MAX)
        return float(min(self.cap_seconds, self.base_seconds * 2**exponent) * (0.5 + jitter))
