"""When an attempt counts as silent."""

from uuid import UUID

from processors.silence import Pulse, SilenceWatch

JOB = UUID(int=1)


def pulse(beats: int | None = 5, lease: int = 1) -> Pulse:
    return Pulse(JOB, lease, beats)


def watch() -> SilenceWatch:
    return SilenceWatch(lease_seconds=12.0, gap_seconds_max=6.0, reconnect_seconds=2.0)


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


def test_time_out_of_touch_does_not_count_and_what_was_watched_before_does() -> None:
    watching = watch()
    looks(watching, range(0, 6), pulse())

    watching.lose_touch()

    assert looks(watching, range(105, 114), pulse()) == [(112, 1), (113, 1)]


def test_workers_get_time_to_be_heard_after_touch_was_lost() -> None:
    watching = watch()
    looks(watching, range(0, 12), pulse())

    watching.lose_touch()

    assert looks(watching, range(30, 34), pulse()) == [(32, 1), (33, 1)]


def test_each_outage_gives_them_that_time_again() -> None:
    watching = watch()
    looks(watching, range(0, 12), pulse())

    for back_at in range(20, 60, 10):
        watching.lose_touch()
        assert looks(watching, range(back_at, back_at + 2), pulse()) == []

    assert looks(watching, range(52, 54), pulse()) == [(52, 1), (53, 1)]


def test_a_beat_after_an_outage_begins_a_new_period() -> None:
    watching = watch()
    looks(watching, range(0, 12), pulse(beats=5))

    watching.lose_touch()
    looks(watching, range(20, 21), pulse(beats=5))

    assert looks(watching, range(21, 34), pulse(beats=6)) == [(33, 1)]


def test_a_pause_in_the_looking_is_time_not_watched() -> None:
    watching = watch()
    looks(watching, range(0, 6), pulse())

    assert looks(watching, range(12, 21), pulse()) == [(19, 1), (20, 1)]


def test_an_answer_that_took_long_is_a_pause_too() -> None:
    watching = watch()
    looks(watching, range(0, 6), pulse())

    silent = watching.look(6, 13, [pulse()])

    assert silent == []
    assert looks(watching, range(14, 22), pulse()) == [(20, 1), (21, 1)]


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

    looks(watching, range(4, 15), pulse())
    watching.lose_touch()
    watching.look(24, 24, [pulse()])

    assert watching.next_at() == 26


def test_one_that_could_not_be_ended_is_watched_anew() -> None:
    watching = watch()
    looks(watching, range(0, 13), pulse())

    watching.begin_anew(pulse())

    assert looks(watching, range(13, 26), pulse()) == [(25, 1)]
