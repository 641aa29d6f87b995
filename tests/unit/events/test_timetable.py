"""When a cron line fires: through changes of clocks, without gaps, doubles or runaway loops."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.contracts.timetable import BadCron, Timetable, UnknownZone

VIENNA = "Europe/Vienna"
SPRING = datetime(2026, 3, 29, tzinfo=UTC)
"""At 02:00 the clocks of Vienna are put forward to 03:00, at 01:00 UTC."""
AUTUMN = datetime(2026, 10, 25, tzinfo=UTC)
"""At 03:00 the clocks of Vienna are put back to 02:00, at 01:00 UTC."""

ZONES = ["UTC", VIENNA, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Tehran"]
FIELDS = st.tuples(
    st.sampled_from(["*", "*/5", "0", "30", "59", "0,30", "7-9"]),
    st.sampled_from(["*", "*/3", "0", "2", "2,3", "23", "1-3"]),
    st.sampled_from(["*", "1", "29", "31", "L", "1-7"]),
    st.sampled_from(["*", "2", "3,10", "MAR-OCT"]),
    st.sampled_from(["*", "0", "7", "MON-FRI", "SUN#1", "5L"]),
)
MOMENTS = st.integers(0, 8_000_000).map(lambda minutes: SPRING + timedelta(minutes=minutes))


def local(zone: str, moments: list[datetime]) -> list[str]:
    return [each.astimezone(ZoneInfo(zone)).strftime("%d. %H:%M %z") for each in moments]


def ticks(cron: str, zone: str, after: datetime, many: int) -> list[datetime]:
    return list(islice(Timetable(cron, zone).ticks_after(after), many))


def test_a_fixed_time_that_is_left_out_fires_once_right_after_the_gap() -> None:
    assert local(VIENNA, ticks("30 2 * * *", VIENNA, SPRING - timedelta(days=1), 3)) == [
        "28. 02:30 +0100",
        "29. 03:00 +0200",
        "30. 02:30 +0200",
    ]


def test_a_fixed_time_that_comes_twice_fires_the_first_time_only() -> None:
    assert local(VIENNA, ticks("30 2 * * *", VIENNA, AUTUMN - timedelta(hours=3), 2)) == [
        "25. 02:30 +0200",
        "26. 02:30 +0100",
    ]


def test_who_asks_in_the_second_of_two_equal_hours_gets_a_later_time() -> None:
    second = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)

    assert local(VIENNA, ticks("30 2 * * *", VIENNA, second, 1)) == ["26. 02:30 +0100"]


def test_a_line_of_every_hour_follows_the_time_that_passes() -> None:
    spring = ticks("0 * * * *", VIENNA, SPRING, 3)
    autumn = ticks("0 * * * *", VIENNA, AUTUMN - timedelta(hours=1), 4)

    assert local(VIENNA, spring) == ["29. 03:00 +0200", "29. 04:00 +0200", "29. 05:00 +0200"]
    assert local(VIENNA, autumn) == [
        "25. 02:00 +0200",
        "25. 02:00 +0100",
        "25. 03:00 +0100",
        "25. 04:00 +0100",
    ]


@pytest.mark.parametrize(
    "cron",
    [
        *("", "* * * *", "* * * * * *", "@daily", "61 * * * *", "* 24 * * *", "* * 0 * *"),
        *("* * * 13 *", "* * * * 8", "a * * * *", "*/0 * * * *", "5-1 * * * *", "-1 * * * *"),
        *("0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 * * MON#6", "1,,2 * * * *", "١ * * * *"),
        "0 " * 60,
    ],
)
def test_what_is_no_line_or_never_comes_is_refused(cron: str) -> None:
    with pytest.raises(BadCron):
        Timetable(cron, "UTC")


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "UTC\0", "x" * 65, "Europe"]
)
def test_an_unknown_zone_is_refused_without_a_path(zone: str) -> None:
    with pytest.raises(UnknownZone) as refused:
        Timetable("* * * * *", zone)

    assert "/usr" not in str(refused.value)
    assert "tzdata" not in str(refused.value)


def test_a_leap_day_on_a_monday_is_waited_for() -> None:
    assert Timetable("0 0 * 2 MON#5", "UTC").next_after(SPRING) == datetime(2044, 2, 29, tzinfo=UTC)


@settings(max_examples=150, deadline=None)
@given(fields=FIELDS, zone=st.sampled_from(ZONES), moment=MOMENTS)
def test_times_grow_lie_after_and_are_whole_minutes(
    fields: tuple[str, ...], zone: str, moment: datetime
) -> None:
    try:
        found = ticks(" ".join(fields), zone, moment, 30)
    except BadCron:
        return

    assert all(tick > moment for tick in found)
    assert found == sorted(set(found))
    assert all(tick.second == tick.microsecond == 0 for tick in found)


@settings(max_examples=100, deadline=None)
@given(fields=FIELDS, zone=st.sampled_from(ZONES), moment=MOMENTS, step=st.integers(1, 10))
def test_going_on_from_a_time_leaves_none_out(
    fields: tuple[str, ...], zone: str, moment: datetime, step: int
) -> None:
    cron = " ".join(fields)
    try:
        found = ticks(cron, zone, moment, step + 5)
    except BadCron:
        return

    if len(found) == step + 5:
        assert ticks(cron, zone, found[step - 1], 5) == found[step:]


@settings(max_examples=100, deadline=None)
@given(
    fields=FIELDS,
    zone=st.sampled_from(ZONES),
    moment=MOMENTS,
    days=st.integers(0, 60),
    most=st.integers(1, 20),
)
def test_the_latest_times_are_the_last_of_all(
    fields: tuple[str, ...], zone: str, moment: datetime, days: int, most: int
) -> None:
    try:
        table = Timetable(" ".join(fields), zone)
    except BadCron:
        return
    until = moment + timedelta(days=days)
    everything = []
    for tick in islice(table.ticks_after(moment), 3_000):
        if tick > until:
            break
        everything.append(tick)
    else:
        return

    assert table.latest(moment, until, most) == everything[-most:]
    assert table.count(moment, until, 5_000) == len(everything)
    assert table.count(moment, until, 3) == min(3, len(everything))


def test_a_year_of_minutes_is_not_gone_through() -> None:
    until = AUTUMN
    table = Timetable("* * * * *", VIENNA)

    # Ten million years of minutes would not come back; the numbers of steps have limits.
    after = datetime(1, 1, 3, tzinfo=UTC)
    assert table.latest(after, until, 2) == [until - timedelta(minutes=1), until]
    assert table.count(after, until, 1_000) == 1_000
