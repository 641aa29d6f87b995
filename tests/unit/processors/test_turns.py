"""Whose turn it is: priorities, aging, and tenants, for whatever may be waiting."""

from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from processors.lanes import Lane, LaneKey, Runnable
from processors.turns import Turns, standing
from tests.fixtures.events import NOON

STEP = 30.0
priorities = st.integers(-100, 100)
waits = st.floats(0, 1e7)


def lane(tenant: str, priority: int, *waited: float, place: int = 0) -> Lane:
    """A lane whose jobs have waited so long at NOON."""
    made = Lane(LaneKey("default", priority, tenant, "no-op", ""))
    for number, seconds in enumerate(sorted(waited, reverse=True), start=place + 1):
        since = NOON - timedelta(seconds=seconds)
        made.add(Runnable(UUID(int=number), 1, number, since), 10_000)
    return made


@given(priorities, waits, waits)
def test_waiting_never_takes_from_a_priority(priority: int, first: float, more: float) -> None:
    assert standing(priority, first, STEP) >= priority
    assert standing(priority, first + more, STEP) >= standing(priority, first, STEP)


@given(priorities, st.integers(0, 1_000))
def test_each_step_of_waiting_is_a_step_of_priority(priority: int, steps: int) -> None:
    assert standing(priority, steps * STEP, STEP) == priority + steps


@given(priorities, priorities)
def test_whoever_waits_long_enough_goes_before_any_fresh_priority(low: int, high: int) -> None:
    waited = (high - low + 1) * STEP

    assert standing(low, max(waited, 0), STEP) > high or low > high


@given(st.lists(st.tuples(priorities, st.floats(0, STEP * 0.99)), min_size=1, max_size=20))
def test_what_has_hardly_waited_goes_by_its_priority(jobs: list[tuple[int, float]]) -> None:
    turns = Turns(STEP)
    for number, (priority, waited) in enumerate(jobs):
        turns.enter(lane(f"tenant-{number}", priority, waited, place=number))

    went = [turns.next(NOON) for _ in jobs]

    order = [each.key.priority for each in went if each is not None]
    assert order == sorted((priority for priority, _ in jobs), reverse=True)


def test_bulk_is_not_starved_by_interactive_jobs_that_never_stop_coming() -> None:
    turns, bulk = Turns(STEP), lane("acme", 0, 0.0)
    turns.enter(bulk)
    for second in range(1_000):
        now = NOON + timedelta(seconds=second)
        fresh = Lane(LaneKey("default", 10, "acme", "no-op", ""))
        fresh.add(Runnable(UUID(int=second + 2), 1, second + 2, now), 10)
        turns.enter(fresh)
        if turns.next(now) is bulk:
            break

    assert second == 11 * STEP, "the first moment at which it stands higher than 10"


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_no_tenant_is_more_than_one_job_ahead_of_another_that_waits(depths: list[int]) -> None:
    turns = Turns(STEP)
    lanes = [
        lane(f"tenant-{number}", 0, *[1.0] * depth, place=100 * number)
        for number, depth in enumerate(depths)
    ]
    for each in lanes:
        turns.enter(each)
    went = dict.fromkeys(lanes, 0)

    while (following := turns.next(NOON)) is not None:
        following.pop()
        went[following] += 1
        turns.enter(following)
        waiting = [went[each] for each in lanes if each.depth]
        assert not waiting or max(waiting) - min(waiting) <= 1

    assert list(went.values()) == depths
