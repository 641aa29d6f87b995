"""Given facts, then the rows of the timeline, the catalogue and the counters."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from events.contracts.fact import AnyFact
from events.contracts.values import SealedText
from events.domain.job import Failure
from events.domain.schedule import Missed, Plan, Schedule, Template
from infrastructure.ids import uuid7
from projectors.group import Group
from projectors.projections.tool_catalogue import NEVER_OFFERED
from tests.factories.histories import Histories, facts_of, recorded
from tests.fixtures.events import NOON, origin, submitted_job


def given(facts: Sequence[AnyFact]) -> dict[str, list[dict[str, Any]]]:
    """What the facts make of every read model."""
    group = Group()
    group.fold(group.decode(recorded(facts)))
    made = {}
    for rows in group.all_rows:
        names = [column.name for column in rows.table.c]
        made[rows.table.name] = [dict(zip(names, record, strict=True)) for record in rows.take()]
    return made


def test_the_timeline_shows_every_fact_and_keeps_secrets_sealed() -> None:
    job = submitted_job(options=SealedText("s1.secret-options"))
    job.start_attempt("worker:1", "process", origin(actor="worker:1"))
    failure = Failure("BAD_FILE", SealedText("s1.message"), permanent=True)
    job.fail(job.lease, failure, 40, {}, 0.5, origin(actor="worker:1"))

    shown = given(facts_of(job))["job_timeline"]

    assert [(row["version"], row["topic"].rsplit(".", 1)[1], row["actor"]) for row in shown] == [
        (1, "submitted", "user:1"),
        (2, "attempt_started", "worker:1"),
        (3, "attempt_failed", "worker:1"),
    ]
    assert "secret-options" not in shown[0]["details"]
    assert orjson.loads(shown[2]["details"]) == {
        "lease": 1,
        "code": "BAD_FILE",
        "message": "s1.message",
        "permanent": True,
        "retry_at": None,
        "duration_ms": 40,
        "resources": {},
    }


def test_the_timeline_names_the_version_that_ran_where_it_is_another() -> None:
    told = []
    for version in ("1", "2"):
        job = submitted_job(tool_version="1")
        job.start_attempt("worker:1", "process", origin(), version)
        told.append(orjson.loads(given(facts_of(job))["job_timeline"][1]["details"]))

    assert [details.get("tool_version", "none") for details in told] == ["none", "2"]


def test_a_fact_from_before_a_field_was_added_shows_its_default() -> None:
    job = submitted_job()
    job.start_attempt("worker:1", "process", origin())
    rows = recorded(facts_of(job))
    fields = orjson.loads(rows[1].state)
    del fields["isolation"]
    group = Group()
    old = type(rows[1])(2, rows[1].originator_id, 2, rows[1].topic, orjson.dumps(fields), "a", NOON)

    group.fold(group.decode([rows[0], old]))

    details = orjson.loads(group.all_rows[1].take()[1][-1])
    assert details["isolation"] == "unknown"


def test_counters_follow_each_job_from_state_to_state() -> None:
    first, second = submitted_job(), submitted_job()
    first.start_attempt("worker:1", "process", origin())
    first.succeed(first.lease, [], 120, {}, origin(at=NOON + timedelta(minutes=70)))
    second.cancel(origin())

    made = given([*facts_of(first), *facts_of(second)])

    jobs = {row["status"]: row["jobs"] for row in made["job_counters"]}
    assert jobs == {"queued": 0, "running": 0, "succeeded": 1, "cancelled": 1}
    noon, later = sorted(made["outcome_counters"], key=lambda row: row["hour"])
    assert noon["hour"] == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert (noon["submitted"], noon["cancelled"], noon["succeeded"]) == (2, 1, 0)
    assert later["hour"] == datetime(2026, 11, 23, 13, tzinfo=UTC)
    assert (later["succeeded"], later["duration_ms_total"]) == (1, 120)


def test_only_a_failure_that_ends_the_job_counts_as_failed() -> None:
    job = submitted_job(attempts_max=2)
    for _ in range(2):
        job.start_attempt("worker:1", "process", origin())
        job.fail(job.lease, Failure("X", SealedText("s1"), False), 1, {}, 0.5, origin())
        if job.status == "retrying":
            job.become_due(origin())

    counted = given(facts_of(job))["outcome_counters"]

    assert [row["failed"] for row in counted] == [1]


def test_the_catalogue_shows_the_latest_offer() -> None:
    facts = Histories().tool("checksum")

    (introduced,) = given(facts[:1])["tool_catalogue"]
    (offered,) = given(facts)["tool_catalogue"]

    assert (introduced["available"], introduced["unavailable_reason"]) == (False, NEVER_OFFERED)
    assert (offered["name"], offered["version"], offered["available"]) == ("checksum", "2", True)
    assert orjson.loads(offered["options_schema"]) == {"type": "object", "title": "v2"}
    assert offered["position"] == 3


def test_the_catalogue_shows_whether_results_are_kept_and_the_whole_retry_policy() -> None:
    facts = Histories().tool("checksum")

    (introduced,), (first,), (offered,) = (
        given(facts[:count])["tool_catalogue"] for count in (1, 2, 3)
    )

    plain = {"first_seconds": 2.0, "factor": 2.0, "cap_seconds": 600.0, "jitter": 0.5}
    plain |= {"budget_seconds": None}
    assert (introduced["cacheable"], introduced["retry"]) == (False, None)
    assert (first["cacheable"], orjson.loads(first["retry"])) == (False, plain)
    assert (offered["cacheable"], orjson.loads(offered["retry"])) == (True, plain | {"factor": 3.0})


def test_a_schedule_shows_what_came_of_it() -> None:
    template = Template("no-op", SealedText("s1.secret-options"))
    plan = Plan("*/10 * * * *", "Europe/Vienna")
    made = Schedule.create(uuid7(), SealedText("s1.name"), plan, template, origin())
    job = uuid7()
    made.fire(job, origin(at=NOON + timedelta(minutes=35)))
    made.pause(origin(at=NOON + timedelta(minutes=36)))

    (row,) = given(facts_of(made))["schedule_summary"]

    assert (row["status"], row["next_at"], row["zone"]) == ("paused", None, "Europe/Vienna")
    assert (row["fired"], row["passed_over"], row["last_job"]) == (1, 2, job)
    assert row["last_fired_at"] == NOON + timedelta(minutes=35)
    assert row["changed_at"] == NOON + timedelta(minutes=36)
    assert orjson.loads(row["template"])["options"] == "s1.secret-options"


def test_a_schedule_shows_why_its_last_time_has_no_job_until_one_has() -> None:
    template = Template("no-op", SealedText("s1.secret-options"))
    plan = Plan("*/10 * * * *", missed=Missed.SKIP)
    made = Schedule.create(uuid7(), SealedText("s1.name"), plan, template, origin())

    def shown() -> tuple[Any, ...]:
        told.extend(facts_of(made))
        (row,) = given(told)["schedule_summary"]
        return row["skipped_tick"], row["skipped_because"], row["passed_over"]

    told: list[AnyFact] = []
    assert shown() == (None, None, 0)
    made.forgo("TOOL_NOT_FOUND", origin(at=NOON + timedelta(minutes=11)))
    assert shown() == (NOON + timedelta(minutes=10), "TOOL_NOT_FOUND", 1)
    made.fire_now(uuid7(), origin(at=NOON + timedelta(minutes=12)))
    assert shown()[1] == "TOOL_NOT_FOUND", "a job that somebody wanted is of no time of the plan"
    made.fire(uuid7(), origin(at=NOON + timedelta(minutes=38)))
    assert shown() == (NOON + timedelta(minutes=30), "MISSED", 3)
    made.fire(uuid7(), origin(at=NOON + timedelta(minutes=40)))
    assert shown() == (None, None, 3)


def test_uploads_make_no_rows() -> None:
    assert not any(given(Histories().upload()).values())
