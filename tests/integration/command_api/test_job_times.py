"""When a job is to run and how long it may take: what is accepted, and what is refused by name."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from events.contracts.values import JobStatus
from tests.fixtures.command_api import CommandApi, offer, worker_origin

Headers = dict[str, str]
HOUR = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


async def submitted(client: httpx.AsyncClient, headers: Headers, **body: Any) -> UUID:
    answer = await client.post("/jobs", json={"tool": "no-op", **body}, headers=headers)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["job_id"])


async def test_a_delayed_job_is_scheduled_for_then(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    before = now()

    job = await api.job(await submitted(client, auth_headers, delay_seconds=3600))

    assert job.status is JobStatus.SCHEDULED
    assert job.due_at is not None
    assert before + HOUR <= job.due_at <= now() + HOUR


async def test_no_delay_is_no_wait(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    job = await api.job(await submitted(client, auth_headers, delay_seconds=0))

    assert job.status is JobStatus.QUEUED


async def test_files_may_be_sent_for_later(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    unique = json.dumps({"key": "later", "scope": "tenant"})
    fields = {"delay_seconds": "60", "queue_seconds_max": "30", "unique": unique}

    answer = await client.post(
        "/tools/no-op/process",
        files={"file": ("a.txt", b"text")},
        data={**fields, "timeout_seconds": "5", "cache": "false"},
        headers=auth_headers,
    )

    assert answer.status_code == 202, answer.text
    job = await api.job(answer.json()["job_id"])
    assert job.status is JobStatus.SCHEDULED
    assert (job.queue_seconds_max, job.timeout_seconds) == (30.0, 5.0)
    assert job.reservation is not None


async def test_the_two_budgets_are_the_jobs_own(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    job_id = await submitted(client, auth_headers, timeout_seconds=7.5, queue_seconds_max=60)

    job = await api.job(job_id)

    assert (job.timeout_seconds, job.queue_seconds_max) == (7.5, 60.0)
    assert job.wait_until is not None


async def test_a_tools_patience_is_pinned_when_the_job_is_accepted(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    patience = {"first_seconds": 0.25, "factor": 3.0, "jitter": 0.0, "budget_seconds": 10.0}
    await api.introduce("patient", offer(retry=patience, attempts_max=9))

    job_id = await submitted(client, auth_headers, tool="patient")
    await api.fail(job_id, "BUSY", "try again", permanent=False)

    job = await api.job(job_id)
    assert (job.retry, job.attempts_max, job.status) == (patience, 9, JobStatus.RETRYING)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"run_at": "2020-01-01T00:00:00Z"}, "run_at"),
        pytest.param(
            {"run_at": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()},
            "run_at",
            id="a moment ago",
        ),
        ({"run_at": "2030-01-01T00:00:00"}, "run_at"),
        ({"run_at": "tomorrow"}, "run_at"),
        ({"run_at": "2999-01-01T00:00:00Z"}, "run_at"),
        ({"delay_seconds": -1}, "delay_seconds"),
        ({"delay_seconds": 10**9}, "delay_seconds"),
        ({"delay_seconds": "soon"}, "delay_seconds"),
        ({"delay_seconds": 5, "run_at": "2027-01-01T00:00:00Z"}, "delay_seconds"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": 31}, "timeout_seconds"),
        ({"queue_seconds_max": 0}, "queue_seconds_max"),
        ({"queue_seconds_max": -5}, "queue_seconds_max"),
        ({"queue_seconds_max": None, "unique": {"key": ""}}, "unique.key"),
        ({"unique": {}}, "unique.key"),
        ({"unique": {"key": "k", "scope": "world"}}, "unique.scope"),
        ({"unique": {"key": "k", "until": "doomsday"}}, "unique.until"),
        ({"unique": {"key": "k", "until": 0}}, "unique.until"),
        ({"unique": {"key": "k", "on_conflict": "fight"}}, "unique.on_conflict"),
        ({"unique": {"key": "k", "owner": "me"}}, "unique.owner"),
        ({"cache": "perhaps"}, "cache"),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused_with_its_field(
    client: httpx.AsyncClient, auth_headers: Headers, body: dict[str, Any], field: str
) -> None:
    answer = await client.post("/jobs", json={"tool": "no-op", **body}, headers=auth_headers)

    assert answer.status_code == 422, answer.text
    fields = [detail["field"] for detail in answer.json()["details"]]
    assert all(each == field or each.startswith(f"{field}.") for each in fields), fields
    assert fields


async def test_a_time_in_the_past_is_refused_with_files_too(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    before = api.blob_files()

    answer = await client.post(
        "/tools/no-op/process",
        files={"file": ("a.txt", b"text")},
        data={"run_at": "2020-01-01T00:00:00Z"},
        headers=auth_headers,
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "RUN_AT_PAST")
    assert answer.json()["details"][0]["field"] == "run_at"
    assert api.blob_files() == before


async def test_a_repeated_request_gets_its_answer_after_its_time_has_passed(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    headers = auth_headers | {"Idempotency-Key": "soon"}
    run_at = now() + timedelta(seconds=0.5)
    body = {"tool": "no-op", "run_at": run_at.isoformat()}
    first = await client.post("/jobs", json=body, headers=headers)
    assert first.status_code == 202, first.text

    while now() <= run_at:
        await client.get("/../../health")
    again = await client.post("/jobs", json=body, headers=headers)

    assert (again.status_code, again.json()["job_id"]) == (202, first.json()["job_id"])


async def test_another_delay_is_another_request(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    headers = auth_headers | {"Idempotency-Key": "delay"}
    await client.post("/jobs", json={"tool": "no-op", "delay_seconds": 60}, headers=headers)

    other = await client.post("/jobs", json={"tool": "no-op", "delay_seconds": 61}, headers=headers)

    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_CONFLICT")


async def test_a_job_that_waited_too_long_tells_why(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    resources = api.app.state.resources
    job_id = await submitted(client, auth_headers, queue_seconds_max=0.001)
    job = await api.job(job_id)

    job.expire_wait(worker_origin("acme"))

    assert (job.status, job.error_code) == (JobStatus.FAILED, "QUEUE_TIMEOUT")
    assert "No worker started the job" in await resources.results.error_message(job)
