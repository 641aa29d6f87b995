"""Patience has a shape: it grows, is jittered, is capped, and ends."""

from hypothesis import given
from hypothesis import strategies as st

from events.domain.retry_policy import RetryPolicy

POLICY = RetryPolicy(attempts_max=5, base_seconds=2.0, cap_seconds=60.0)


def test_the_middle_of_the_curve_doubles() -> None:
    delays = [POLICY.delay_seconds(attempt, 0.5) for attempt in (1, 2, 3, 4)]

    assert delays == [2.0, 4.0, 8.0, 16.0]


def test_the_last_attempt_is_followed_by_none() -> None:
    assert POLICY.delay_seconds(5, 0.5) is None


@given(attempt=st.integers(1, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_a_delay_is_positive_and_has_a_limit(attempt: int, jitter: float) -> None:
    delay = RetryPolicy(attempts_max=100_000, cap_seconds=60.0).delay_seconds(attempt, jitter)

    assert delay is not None
    assert 0 < delay <= 90.0
