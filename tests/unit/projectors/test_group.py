"""What a group does with events that it does not know or cannot fold."""

from dataclasses import replace

import orjson
import pytest

from events.contracts.envelope import RecordedRow
from events.store.codec import UnknownTopic
from projectors.group import Group
from projectors.parking import PARKED_IN_BATCH_MAX, Poisoned, Reason, TooManyPoisoned
from projectors.rows import RowsChanged
from tests.factories.histories import facts_of, recorded
from tests.fixtures.events import origin, submitted_job


def history() -> list[RecordedRow]:
    """A job that was submitted, started and cancelled."""
    job = submitted_job()
    job.start_attempt("worker:1", "process", origin())
    job.cancel(origin())
    return recorded(facts_of(job))


def without(row: RecordedRow, field: str) -> RecordedRow:
    """The same event, with a field missing that its fold needs."""
    fields = orjson.loads(row.state)
    del fields[field]
    return replace(row, state=orjson.dumps(fields))


def test_an_unknown_topic_stops_the_projection() -> None:
    row = replace(history()[0], topic="magictoolbox.job.teleported")

    with pytest.raises(UnknownTopic):
        Group().decode([row])


def test_an_unknown_topic_is_skipped_where_that_is_wanted() -> None:
    first, second, third = history()
    strange = replace(second, topic="magictoolbox.job.teleported")

    events = Group(skip_unknown_topics=True).decode([first, strange, third])

    assert [row.position for row, _ in events] == [1, 3]


def test_a_job_that_begins_with_an_unknown_fact_is_parked() -> None:
    first, second, third = history()
    strange = replace(first, topic="magictoolbox.job.teleported")
    foreign = replace(first, topic="magictoolbox.voucher.made", position=4)
    group = Group(skip_unknown_topics=True)

    events = group.decode([strange, second, third, foreign])

    assert events == []
    (write,) = group.parking.writes(1)
    assert write.arguments[-1] == ["unknown_beginning", "follows_parked", "follows_parked"]


def test_a_fact_of_a_newer_version_counts_as_unknown() -> None:
    row = history()[0]
    newer = replace(row, state=orjson.dumps({**orjson.loads(row.state), "class_version": 99}))

    with pytest.raises(UnknownTopic):
        Group().decode([newer])


@pytest.mark.parametrize("state", [b"not json", b"{}", b'{"timestamp": "\\u0000"}'])
def test_an_unreadable_event_parks_its_aggregate_from_there_on(state: bytes) -> None:
    first, second, third = history()
    group = Group()

    events = group.decode([first, replace(second, state=state), third])

    assert [row.position for row, _ in events] == [1]
    (write,) = group.parking.writes(1)
    assert write.arguments[2] == [2, 3]
    assert write.arguments[-1] == ["unreadable", "follows_parked"]


def test_an_event_that_cannot_be_folded_is_named() -> None:
    first, second, third = history()
    group = Group()

    with pytest.raises(Poisoned) as poisoned:
        group.fold(group.decode([first, without(second, "lease"), third]))

    assert poisoned.value.row.position == 2
    assert poisoned.value.reason is Reason.FOLD_FAILED


def test_what_was_folded_before_a_parked_event_is_folded_again() -> None:
    rows = history()
    group = Group()
    group.parking.park(Poisoned(rows[1], Reason.FOLD_FAILED))

    group.fold(group.decode(rows))

    (job,) = group.changed_jobs
    assert (job.version, job.status) == (1, "queued")


def test_too_many_bad_events_are_a_bad_projection() -> None:
    row = history()[0]
    group = Group()
    for position in range(1, PARKED_IN_BATCH_MAX + 1):
        group.parking.park(Poisoned(replace(row, position=position), Reason.FOLD_FAILED))

    with pytest.raises(TooManyPoisoned):
        group.parking.park(Poisoned(replace(row, position=10**6), Reason.FOLD_FAILED))


def test_an_event_without_its_row_says_that_rows_were_deleted() -> None:
    group = Group()

    with pytest.raises(RowsChanged):
        group.fold(group.decode(history()[1:]))


def test_the_fingerprint_names_every_projection_with_its_version() -> None:
    names = [one.split("=")[0] for one in Group().fingerprint.split(",")]

    assert sorted(names) == sorted(Group().names) == names
