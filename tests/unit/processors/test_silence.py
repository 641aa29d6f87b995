"""When an attempt counts as silent."""

from uuid import UUID

from processors.silence import Pulse, SilenceWatch

JOB = UUID(int=1)


def pulse(beats: int | None = 5, lease: int = 1) -> Pulse:
    return Pulse(JOB, lease, beats)


def watch() -> SilenceWatch:
    return SilenceWatch(lease_seconds=12.0, gap_seconds_max=6.0)


def looks(watching: SilenceWatch, moments: range, seen: Pulse) -> list[tuple[int, int]]:
    """Look at each moment; returns when something was found silent."""
    return [(at, seen.lease) for at in moments if watching.look(at, at, [seen])]


def test_a_lease_is_silent_after_a_full_period_without_a_beat() -> None:
    assert looks(watch(), range(0, 14), pulse()) == [(12, 1), (13, 1)]


def test_every_beat_begins_a_new_period() -> None:
    watching = watch()
    looks(watching, range(0, 11), pulse(beats=5))

    assert looks(watching, range(11, 24), pulse(beats=6)) == [(23, 1)]


def test_a_worker_that_never_beat_is_given_a_full_period_too() -> None:
    assert looks(watch(), range(0, 13), pulse(beats=None)) == [(12, 1)]


def test_a_new_claim_begins_a_new_period() -> None:
    watching = watch()
    looks(watching, range(0, 11), pulse(lease=1))

    assert looks(watching, range(11, 23), pulse(lease=2)) == []


def test_what_was_seen_before_touch_was_lost_counts_for_nothing() -> None:
    watching = watch()
    looks(watching, range(0, 11), pulse())

    watching.forget()

    assert looks(watching, range(11, 24), pulse()) == [(23, 1)]


def test_a_pause_in_the_looking_is_time_not_watched() -> None:
    watching = watch()
    looks(watching, range(0, 6), pulse())

    assert looks(watching, range(12, 25), pulse()) == [(24, 1)]


def test_an_answer_that_took_long_is_a_pause_too() -> None:
    watching = watch()
    looks(watching, range(0, 6), pulse())

    silent = watching.look(6, 13, [pulse()])

    assert silent == []
    assert looks(watching, range(14, 26), pulse()) == [(25, 1)]


def test_the_period_is_measured_between_answer_and_question() -> None:
    watching = watch()
    watching.look(0, 1, [pulse()])
    for at in range(2, 12):
        watching.look(at, at, [pulse()])

    assert watching.look(12, 12, [pulse()]) == []
    assert watching.look(13, 13, [pulse()]) == [pulse()]


def test_what_ended_is_forgotten() -> None:
    watching = watch()
    looks(watching, range(0, 6), pulse())
    watching.look(6, 6, [])

    assert looks(watching, range(7, 19), pulse()) == []


def test_it_says_when_the_next_would_be_silent() -> None:
    watching = watch()
    assert watching.next_at() is None

    watching.look(3, 3, [pulse()])

    assert watching.next_at() == 15


def test_one_that_could_not_be_ended_is_watched_anew() -> None:
    watching = watch()
    looks(watching, range(0, 13), pulse())

    watching.begin_anew(pulse())

    assert looks(watching, range(13, 26), pulse()) == [(25, 1)]
