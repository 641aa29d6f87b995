"""Stopping queues, setting limits and changing priorities: what is recorded, what is refused."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from events.contracts.fact import AnyFact
from events.contracts.job import JobReprioritised, JobSubmitted
from events.contracts.limit import LimitIntroduced, LimitRemoved, LimitScope, LimitSet
from events.contracts.queue import QueuePaused, queue_id
from events.contracts.values import PLATFORM_TENANT, JobStatus
from events.domain.job import Job
from events.domain.limit import Bounds, Limit
from events.store.codec import Codec
from tests.fixtures.command_api import CommandApi, worker_origin

Headers = dict[str, str]


@pytest.fixture
def operator(api: CommandApi) -> Headers:
    """An operator of the tenant."""
    return api.headers("olga")


async def facts(api: CommandApi, aggregate_id: UUID) -> list[AnyFact]:
    codec = Codec()
    return [codec.decode_row(row).fact for row in await api.log.read_stream(aggregate_id)]


async def submitted(client: httpx.AsyncClient, headers: Headers, **body: Any) -> UUID:
    answer = await client.post("/jobs", json={"tool": "no-op", **body}, headers=headers)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["job_id"])


def fields(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [detail["field"] for detail in answer.json()["details"]]


async def test_a_queue_is_paused_and_resumed(
    api: CommandApi, client: httpx.AsyncClient, operator: Headers
) -> None:
    paused = await client.post("/queues/bulk/pause", headers=operator)
    resumed = await client.post("/queues/bulk/resume", headers=operator)

    assert (paused.status_code, resumed.status_code) == (202, 202)
    assert (paused.json()["paused"], resumed.json()["paused"]) == (True, False)
    assert paused.headers["X-Event-Position"] == str(paused.json()["position"])
    found = await facts(api, queue_id("acme", "bulk"))
    assert isinstance(found[1], QueuePaused)
    assert len(found) == 3


async def test_pausing_twice_is_a_conflict(client: httpx.AsyncClient, operator: Headers) -> None:
    await client.post("/queues/bulk/pause", headers=operator)

    again = await client.post("/queues/bulk/pause", headers=operator)
    other = await client.post("/queues/other/resume", headers=operator)

    assert (again.status_code, again.json()["code"]) == (409, "QUEUE_IS_PAUSED")
    assert (other.status_code, other.json()["code"]) == (409, "QUEUE_IS_NOT_PAUSED")


async def test_a_queue_has_a_proper_name(client: httpx.AsyncClient, operator: Headers) -> None:
    answer = await client.post("/queues/Not%20A%20Queue/pause", headers=operator)

    assert fields(answer) == ["queue"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/queues/bulk/pause"),
        ("POST", "/queues/bulk/resume"),
        ("PUT", "/limits"),
        pytest.param("DELETE", f"/limits/{uuid4()}", id="DELETE-a limit"),
    ],
)
async def test_a_client_steers_no_queue(
    client: httpx.AsyncClient, auth_headers: Headers, method: str, path: str
) -> None:
    body = {"scope": "tenant", "concurrency": 1} if method == "PUT" else None

    answer = await client.request(method, path, json=body, headers=auth_headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


async def test_a_limit_is_set_changed_and_removed(
    api: CommandApi, client: httpx.AsyncClient, operator: Headers
) -> None:
    body = {"scope": "tool", "name": "no-op", "concurrency": 3}
    first = await client.put("/limits", json=body, headers=operator)
    second = await client.put(
        "/limits", json={**body, "rate": 5, "per_seconds": 60}, headers=operator
    )
    limit_id = first.json()["limit_id"]
    removed = await client.delete(f"/limits/{limit_id}", headers=operator)

    assert [each.status_code for each in (first, second, removed)] == [202, 202, 202]
    assert second.json()["limit_id"] == limit_id
    found = await facts(api, UUID(limit_id))
    assert [type(fact) for fact in found] == [LimitIntroduced, LimitSet, LimitSet, LimitRemoved]
    assert isinstance(found[2], LimitSet)
    assert (found[2].concurrency, found[2].rate, found[2].per_seconds) == (3, 5, 60.0)


async def test_a_limit_key_is_nowhere_in_plain(
    api: CommandApi, client: httpx.AsyncClient, operator: Headers
) -> None:
    body = {"scope": "key", "name": "customer-4711", "concurrency": 1}
    limit = await client.put("/limits", json=body, headers=operator)
    job_id = await submitted(client, operator, limit_key="customer-4711")

    job, *_ = await facts(api, job_id)
    introduced, *_ = await facts(api, UUID(limit.json()["limit_id"]))

    assert isinstance(job, JobSubmitted)
    assert isinstance(introduced, LimitIntroduced)
    assert job.limit_key == introduced.subject, "they find each other"
    assert "4711" not in repr((vars(job), vars(introduced)))


async def test_a_limit_that_is_not_there_cannot_be_removed(
    client: httpx.AsyncClient, operator: Headers
) -> None:
    answer = await client.delete(f"/limits/{uuid4()}", headers=operator)

    assert (answer.status_code, answer.json()["code"]) == (404, "LIMIT_NOT_FOUND")


async def test_a_limit_of_the_platform_is_nothing_to_an_operator_of_a_tenant(
    api: CommandApi, client: httpx.AsyncClient, operator: Headers
) -> None:
    at = worker_origin(PLATFORM_TENANT)
    limit = Limit.introduce(LimitScope.TOOL, "no-op", None, at)
    limit.set(Bounds(concurrency=1), at)
    await api.repository.save(limit)

    answer = await client.delete(f"/limits/{limit.id}", headers=operator)

    assert (answer.status_code, answer.json()["code"]) == (404, "LIMIT_NOT_FOUND")
    assert len(await facts(api, limit.id)) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scope": "tenant", "concurrency": 0}, "concurrency"),
        ({"scope": "tenant", "concurrency": -1}, "concurrency"),
        ({"scope": "tenant", "rate": 0}, "rate"),
        ({"scope": "tenant", "rate": 1, "per_seconds": 0}, "per_seconds"),
        ({"scope": "tenant", "rate": 1, "per_seconds": 1e9}, "per_seconds"),
        ({"scope": "tenant"}, "rate"),
        ({"scope": "tenant", "name": "x", "concurrency": 1}, "name"),
        ({"scope": "tool", "concurrency": 1}, "name"),
        ({"scope": "key", "name": "", "concurrency": 1}, "name"),
        ({"scope": "planet", "concurrency": 1}, "scope"),
        ({"scope": "tenant", "concurrency": 1, "tenant": "platform"}, "tenant"),
        ({"scope": "tenant", "concurrency": 1, "more": 1}, "more"),
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused_by_field(
    client: httpx.AsyncClient, operator: Headers, body: dict[str, object], field: str
) -> None:
    assert field in fields(await client.put("/limits", json=body, headers=operator))


async def test_another_priority_is_recorded(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    job_id = await submitted(client, auth_headers)

    answer = await client.patch(f"/jobs/{job_id}", json={"priority": 7}, headers=auth_headers)

    assert answer.status_code == 202
    assert isinstance((await facts(api, job_id))[-1], JobReprioritised)
    assert (await api.job(job_id)).priority == 7


async def test_only_a_job_that_waits_gets_another_priority(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    running, ended = [await submitted(client, auth_headers) for _ in range(2)]
    await api.repository.change(
        Job, running, lambda job: job.start_attempt("w", "none", worker_origin("acme"))
    )
    await client.post(f"/jobs/{ended}/cancel", headers=auth_headers)

    answers = [
        await client.patch(f"/jobs/{job_id}", json={"priority": 7}, headers=auth_headers)
        for job_id in (running, ended)
    ]

    assert [answer.status_code for answer in answers] == [409, 409]
    assert [answer.json()["code"] for answer in answers] == ["JOB_NOT_WAITING", "JOB_IS_FINAL"]
    assert answers[1].json()["details"]["status"] == JobStatus.CANCELLED


@pytest.mark.parametrize("body", [{}, {"priority": 101}, {"priority": "high"}])
async def test_a_priority_has_bounds(
    client: httpx.AsyncClient, auth_headers: Headers, body: dict[str, object]
) -> None:
    job_id = await submitted(client, auth_headers)

    answer = await client.patch(f"/jobs/{job_id}", json=body, headers=auth_headers)

    assert fields(answer) == ["priority"]


async def test_a_limit_key_has_bounds(client: httpx.AsyncClient, auth_headers: Headers) -> None:
    answer = await client.post(
        "/jobs", json={"tool": "no-op", "limit_key": ""}, headers=auth_headers
    )

    assert fields(answer) == ["limit_key"]
