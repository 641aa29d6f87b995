"""Patience has a shape: it grows, is jittered, is capped, and ends."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from events.domain.retry_policy import RetryPolicy
from tests.fixtures.events import NOON

POLICY = RetryPolicy(attempts_max=5, first_seconds=2.0, cap_seconds=60.0)


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


POLICIES = st.builds(
    RetryPolicy,
    attempts_max=st.integers(1, 50),
    first_seconds=st.floats(0, 100),
    factor=st.floats(1, 10),
    cap_seconds=st.floats(100, 1_000),
    jitter=st.floats(0, 1),
    budget_seconds=st.none() | st.floats(0, 10_000),
)


@given(policy=POLICIES)
def test_a_policy_is_what_its_terms_say(policy: RetryPolicy) -> None:
    assert RetryPolicy.of(policy.attempts_max, policy.terms) == policy


def test_the_default_policy_needs_no_words() -> None:
    assert RetryPolicy(attempts_max=3).terms is None


@given(
    policy=POLICIES,
    attempt=st.integers(1, 60),
    jitter=st.floats(0, 1, exclude_max=True),
    spent=st.floats(0, 20_000),
)
def test_no_attempt_begins_beyond_the_number_the_cap_or_the_budget(
    policy: RetryPolicy, attempt: int, jitter: float, spent: float
) -> None:
    now = NOON + timedelta(seconds=spent)

    at = policy.retry_at(attempt, jitter, NOON, now)

    if at is None:
        budget = policy.budget_seconds
        too_late = budget is not None and spent + 2_000 > budget
        assert attempt >= policy.attempts_max or too_late
    else:
        assert attempt < policy.attempts_max
        assert now <= at <= now + timedelta(seconds=2 * policy.cap_seconds)
        assert policy.allows(NOON, at)
