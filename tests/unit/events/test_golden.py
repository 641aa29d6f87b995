"""History must load with today's code, for ever."""

import json
from pathlib import Path

import pytest
from eventsourcing.persistence import DatetimeAsISO, JSONTranscoder, Mapper, StoredEvent

from events.contracts.catalogue import CLASS_OF, FACTS
from events.contracts.fact import AnyFact
from events.store.codec import Codec
from tests.golden.corpus import (
    AGGREGATE,
    FOLDER,
    LATER,
    SUMS,
    VERSION,
    Later,
    class_version,
    example,
    meaning,
)
from tests.golden.corpus import sums as current_sums

GOLDEN = sorted(FOLDER.glob("v*/*.bin"))

PERMANENT_TOPICS = {
    "magictoolbox.job.submitted",
    "magictoolbox.job.attempt_started",
    "magictoolbox.job.attempt_succeeded",
    "magictoolbox.job.attempt_failed",
    "magictoolbox.job.attempt_expired",
    "magictoolbox.job.attempt_handed_back",
    "magictoolbox.job.due",
    "magictoolbox.job.wait_expired",
    "magictoolbox.job.cancelled",
    "magictoolbox.job.reopened",
    "magictoolbox.job.outcome_refused",
    "magictoolbox.job.result_expired",
    "magictoolbox.reservation.reserved",
    "magictoolbox.reservation.taken_over",
    "magictoolbox.job.reprioritised",
    "magictoolbox.limit.introduced",
    "magictoolbox.limit.set",
    "magictoolbox.limit.removed",
    "magictoolbox.queue.introduced",
    "magictoolbox.queue.paused",
    "magictoolbox.queue.resumed",
    "magictoolbox.job.result_reused",
    "magictoolbox.result.sought",
    "magictoolbox.result.sought_anew",
    "magictoolbox.schedule.created",
    "magictoolbox.schedule.changed",
    "magictoolbox.schedule.paused",
    "magictoolbox.schedule.resumed",
    "magictoolbox.schedule.fired",
    "magictoolbox.schedule.skipped",
    "magictoolbox.schedule.deleted",
    "magictoolbox.tool.introduced",
    "magictoolbox.tool.offered",
    "magictoolbox.upload.received",
    "magictoolbox.upload.expired",
    "magictoolbox.workflow.submitted",
    "magictoolbox.workflow.step_started",
    "magictoolbox.workflow.step_jobs_ended",
    "magictoolbox.workflow.step_ended",
    "magictoolbox.workflow.steps_skipped",
    "magictoolbox.workflow.succeeded",
    "magictoolbox.workflow.failed",
    "magictoolbox.workflow.cancelled",
    "magictoolbox.workflow.reopened",
    "magictoolbox.bulk.requested",
    "magictoolbox.bulk.progressed",
    "magictoolbox.bulk.finished",
    "magictoolbox.bulk.cancelled",
}
"""Names may be added here, never changed or removed."""


def topic_of(path: Path) -> str:
    return path.name.removesuffix(".bin").partition("+")[0]


def test_no_topic_was_renamed_or_removed() -> None:
    assert set(CLASS_OF) >= PERMANENT_TOPICS


def test_no_golden_file_was_changed() -> None:
    assert current_sums() == SUMS.read_text()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_golden_bytes_load_and_mean_what_they_meant(path: Path) -> None:
    fact = Codec().decode(topic_of(path), path.read_bytes(), AGGREGATE, VERSION)

    assert meaning(fact) == json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_stock_mapper_reads_the_same(path: Path) -> None:
    stored = StoredEvent(AGGREGATE, VERSION, topic_of(path), path.read_bytes())
    transcoder = JSONTranscoder()
    transcoder.register(DatetimeAsISO())

    stock = Mapper(transcoder).to_domain_event(stored)

    assert stock == Codec().to_domain_event(stored)


@pytest.mark.parametrize("fact_class", FACTS, ids=lambda fact_class: fact_class.TOPIC)
def test_todays_writer_matches_the_newest_golden_bytes(fact_class: type[AnyFact]) -> None:
    path = FOLDER / f"v{class_version(fact_class)}" / f"{fact_class.TOPIC}.bin"

    assert Codec().to_stored_event(example(fact_class)).state == path.read_bytes()


@pytest.mark.parametrize("later", LATER, ids=lambda later: str(later.stem.name))
def test_todays_writer_matches_the_golden_bytes_of_later_fields(later: Later) -> None:
    path = later.stem.with_name(later.stem.name + ".bin")

    assert Codec().to_stored_event(later.example()).state == path.read_bytes()


@pytest.mark.parametrize("later", LATER, ids=lambda later: str(later.stem.name))
def test_a_later_field_is_not_written_where_it_says_nothing(later: Later) -> None:
    fact = example(later.fact_class)

    written = json.loads(Codec().to_stored_event(fact).state)

    assert not later.new_fields & set(written)
    assert all(getattr(fact, name) != value for name, value in later.values.items())
