"""Whatever goes away and comes back: a living worker is never named, a dead one always in time.

A world of ticks, ten to a second: a worker that beats, a clock that looks, a PostgreSQL that comes
and goes, a clock process that is stopped for a while.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from processors.silence import Pulse, SilenceWatch

LEASE, BEAT, SWEEP, RECONNECT = 120, 30, 10, 20
GAP = LEASE // 2
RETRY = 5
TICKS = 900

Stretch = tuple[int, int]
"""From when, and for how long."""


@dataclass(frozen=True)
class Weather:
    """What goes wrong in a world."""

    outages: tuple[Stretch, ...] = ()
    freezes: tuple[Stretch, ...] = ()
    worker_late: int = 0
    """How long after each outage the worker is back."""
    clock_late: int = 0
    stops_all: bool = False
    """Whether the worker stops with the clock, as on a machine that is suspended."""

    def is_up(self, tick: int) -> bool:
        return not _any_holds(self.outages, tick)

    def is_frozen(self, tick: int) -> bool:
        return _any_holds(self.freezes, tick)


def _any_holds(stretches: tuple[Stretch, ...], tick: int) -> bool:
    return any(start <= tick < start + length for start, length in stretches)


def in_a_row(start: int, length: int, pause: int) -> tuple[Stretch, ...]:
    """One after the other to the end of the world."""
    return tuple((at, length) for at in range(start, TICKS, length + pause))


def stretches(longest: int) -> st.SearchStrategy[tuple[Stretch, ...]]:
    one = st.tuples(st.integers(0, TICKS), st.integers(1, longest))
    some = st.lists(one, max_size=6).map(tuple)
    many = st.builds(in_a_row, st.integers(0, LEASE), st.integers(1, longest), st.integers(1, BEAT))
    return some | many


WEATHERS = st.builds(
    Weather,
    outages=stretches(150),
    freezes=stretches(150),
    worker_late=st.integers(0, RECONNECT - 1),
    clock_late=st.integers(0, RETRY),
)


def beats(weather: Weather, dies_at: int) -> Iterator[int]:
    """What the tables show of the worker at each tick."""
    count, due_at = 1, BEAT
    for tick in range(TICKS):
        if not weather.is_up(tick) or (weather.stops_all and weather.is_frozen(tick)):
            # It may be back before the next outage, or not.
            due_at = tick + 1 + weather.worker_late
        elif tick >= due_at and tick < dies_at:
            count, due_at = count + 1, tick + BEAT
        yield count


def named_at(weather: Weather, dies_at: int = TICKS) -> int | None:
    """When the clock names the worker's job first."""
    watching = SilenceWatch(LEASE, GAP, RECONNECT)
    look_at, is_cut = 0, False
    for tick, count in enumerate(beats(weather, dies_at)):
        if not weather.is_up(tick):
            # The connection is gone; a clock that is stopped learns that later.
            is_cut, look_at = True, tick + 1 + weather.clock_late
        if weather.is_frozen(tick) or tick < look_at:
            continue
        if is_cut:
            watching.lose_touch()
        if watching.look(tick, tick, [Pulse(UUID(int=1), 1, count)]):
            return tick
        is_cut, look_at = False, tick + SWEEP
    return None


@given(WEATHERS)
@example(Weather(in_a_row(20, length=20, pause=RECONNECT - 1), worker_late=RECONNECT - 1))
@example(Weather(freezes=in_a_row(20, length=LEASE, pause=1)))
def test_a_living_worker_is_never_named(weather: Weather) -> None:
    assert named_at(weather) is None


@given(st.integers(0, TICKS), st.integers(1, 400), st.integers(0, LEASE - BEAT - 2 * SWEEP))
def test_after_one_outage_a_living_worker_may_be_late_for_most_of_a_lease(
    start: int, length: int, late: int
) -> None:
    assert named_at(Weather(((start, length),), worker_late=late)) is None


@given(st.integers(0, TICKS), st.integers(1, 400), st.integers(0, RECONNECT - 1))
def test_a_machine_that_stood_still_has_lost_no_worker(start: int, length: int, late: int) -> None:
    weather = Weather(freezes=((start, length),), worker_late=late, stops_all=True)

    assert named_at(weather) is None


@given(WEATHERS, st.integers(0, 400))
def test_a_dead_worker_is_always_named_in_time(weather: Weather, dies_at: int) -> None:
    """Within a lease, two looks, and for each absence its length and the time to be heard."""
    absences = weather.outages + weather.freezes
    apart = SWEEP + weather.clock_late + RECONNECT
    latest = dies_at + LEASE + 2 * SWEEP + sum(length + apart for _, length in absences)

    named = named_at(weather, dies_at)

    assert latest >= TICKS or (named is not None and dies_at < named <= latest)


@given(st.integers(0, LEASE), st.integers(1, 100))
def test_one_restart_of_postgres_costs_its_absence_and_the_time_to_be_heard(
    restart_after: int, away: int
) -> None:
    dies_at = 200
    weather = Weather(outages=((dies_at + restart_after, away),), clock_late=RETRY)

    named = named_at(weather, dies_at)

    assert named is not None
    watched = LEASE + 2 * SWEEP
    assert named - dies_at - away - RETRY <= max(watched, restart_after + RECONNECT)
