"""Histories, tools, numbers and positions."""

from uuid import uuid4

import httpx
import pytest
from redis import Redis

from infrastructure.principals import Role
from projectors.read_models import live
from tests.fixtures.query_api import COMMAND_URL, OPTIONS_SCHEMA, AuthHeaders, World


async def test_the_history_tells_what_happened_in_order(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.fail(job_id, "photo.jpg is cut short")
    position = await world.project()

    answer = await query_client.get(f"/jobs/{job_id}/events", headers=await auth_headers())

    assert answer.headers["X-Applied-Position"] == str(position)
    events = answer.json()["items"]
    assert [(event["version"], event["position"]) for event in events] == [
        (1, position - 2),
        (2, position - 1),
        (3, position),
    ]
    assert [event["topic"].rpartition(".")[2] for event in events] == [
        "submitted",
        "attempt_started",
        "attempt_failed",
    ]
    assert events[2]["details"]["message"] == "photo.jpg is cut short"
    assert events[1]["actor"] == "worker:1"
    assert events[0]["occurred_at"] <= events[0]["recorded_at"]


async def test_the_history_of_an_erased_job_keeps_its_facts(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.fail(job_id, "photo.jpg is cut short")
    await world.project()
    await world.erase(job_id)

    answer = await query_client.get(f"/jobs/{job_id}/events", headers=await auth_headers())

    assert answer.json()["items"][2]["details"]["message"] is None
    assert answer.json()["items"][2]["details"]["code"] == "CORRUPT_FILE"


async def test_a_long_history_comes_in_parts(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.fail(job_id, "broken")
    await world.project()
    headers = await auth_headers()

    first = (await query_client.get(f"/jobs/{job_id}/events?limit=2", headers=headers)).json()
    url = f"/jobs/{job_id}/events?limit=2&after={first['next_after']}"
    second = (await query_client.get(url, headers=headers)).json()

    assert [event["version"] for event in first["items"]] == [1, 2]
    assert [event["version"] for event in second["items"]] == [3]
    assert second["next_after"] is None


async def test_a_history_of_nothing_is_absent(
    query_client: httpx.AsyncClient, auth_headers: AuthHeaders
) -> None:
    answer = await query_client.get(f"/jobs/{uuid4()}/events", headers=await auth_headers())

    assert (answer.status_code, answer.json()["code"]) == (404, "JOB_NOT_FOUND")


async def test_the_catalogue_shows_what_workers_offer(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.offer("image-resizer")
    await world.offer("heif-reader", available=False)
    position = await world.project()

    answer = await query_client.get("/tools", headers=await auth_headers())

    tools = answer.json()["items"]
    assert [(tool["name"], tool["available"]) for tool in tools] == [
        ("heif-reader", False),
        ("image-resizer", True),
    ]
    assert tools[0]["unavailable_reason"] == "not installed: libheif"
    assert tools[1]["options_schema"] == OPTIONS_SCHEMA
    assert [tool["cacheable"] for tool in tools] == [False, True]
    assert (tools[1]["retry"]["first_seconds"], tools[1]["retry"]["budget_seconds"]) == (2.0, 90.0)
    assert tools[1]["links"]["process"] == f"{COMMAND_URL}/api/v1/tools/image-resizer/process"
    assert answer.headers["X-Applied-Position"] == str(position)
    assert answer.headers["Cache-Control"].startswith("private")


async def test_the_catalogue_is_sent_again_only_when_it_changed(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.offer("image-resizer")
    await world.project()
    headers = await auth_headers()
    one = await query_client.get("/tools/image-resizer", headers=headers)
    every = await query_client.get("/tools", headers=headers)
    await world.offer("checksum")
    await world.project()

    one_again = await query_client.get(
        "/tools/image-resizer", headers=headers | {"If-None-Match": one.headers["ETag"]}
    )
    every_again = await query_client.get(
        "/tools", headers=headers | {"If-None-Match": every.headers["ETag"]}
    )

    assert one.json()["name"] == "image-resizer"
    assert (one_again.status_code, every_again.status_code) == (304, 200)
    assert one_again.headers["Cache-Control"] == one.headers["Cache-Control"]


async def test_an_unknown_tool_is_not_found(
    query_client: httpx.AsyncClient, auth_headers: AuthHeaders
) -> None:
    answer = await query_client.get("/tools/nothing", headers=await auth_headers())

    assert (answer.status_code, answer.json()["code"]) == (404, "TOOL_NOT_FOUND")


async def test_the_overview_counts_the_tenant_and_nobody_else(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.submit(tool="checksum")
    await world.succeed(await world.submit(tool="checksum"), {"a": b"a"})
    await world.fail(await world.submit(tool="image-resizer"), "broken")
    await world.cancel(await world.submit(tool="image-resizer"))
    await world.submit(await world.user(tenant="globex"))
    position = await world.project()

    answer = await query_client.get("/stats/overview", headers=await auth_headers(Role.OPERATOR))

    assert answer.headers["X-Applied-Position"] == str(position)
    overview = answer.json()
    assert overview["jobs"] == {
        "scheduled": 0,
        "queued": 1,
        "running": 0,
        "retrying": 0,
        "succeeded": 1,
        "failed": 1,
        "cancelled": 1,
    }
    assert overview["tools"] == [
        {"tool": "checksum", "jobs": {"queued": 1, "succeeded": 1}},
        {"tool": "image-resizer", "jobs": {"cancelled": 1, "failed": 1}},
    ]
    assert overview["last_24_hours"] == {
        "submitted": 4,
        "succeeded": 1,
        "failed": 1,
        "cancelled": 1,
        "success_ratio": 0.5,
        "duration_ms_mean": 12.0,
    }


async def test_a_tenant_without_jobs_has_an_overview_of_zeros(
    query_client: httpx.AsyncClient, auth_headers: AuthHeaders
) -> None:
    answer = await query_client.get("/stats/overview", headers=await auth_headers(Role.AUDITOR))

    overview = answer.json()
    assert set(overview["jobs"].values()) == {0}
    assert overview["last_24_hours"]["success_ratio"] is None


async def test_projections_tell_how_far_behind_they_are(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders, redis_url: str
) -> None:
    await world.submit()
    position = await world.project()
    await world.submit()
    with Redis.from_url(redis_url) as redis:
        redis.set(live.CHECKPOINT, position + 1)

    answer = await query_client.get("/projections", headers=await auth_headers(Role.OPERATOR))

    assert answer.json()["head"] == position + 1
    lags = {each["name"]: each["lag"] for each in answer.json()["items"]}
    assert lags == {
        "bulk_operations": 1,
        "job_counters": 1,
        "job_summary": 1,
        "job_timeline": 1,
        "limits": 1,
        "live": 0,
        "outcome_counters": 1,
        "queue_counters": 1,
        "queue_states": 1,
        "schedule_summary": 1,
        "tool_catalogue": 1,
        "workflow_summary": 1,
    }
    assert answer.headers["X-Applied-Position"] == str(position)


async def test_the_document_describes_every_answer(query_client: httpx.AsyncClient) -> None:
    document = (await query_client.get("http://query.test/openapi.json")).json()

    assert "/api/v1/jobs/{job_id}" in document["paths"]
    assert document["paths"]["/api/v1/jobs"]["get"]["responses"]["200"]["content"][
        "application/json"
    ]["schema"] == {"$ref": "#/components/schemas/JobPage"}
    flow = document["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]["password"]
    assert flow["tokenUrl"] == f"{COMMAND_URL}/api/v1/auth/token"


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/health", "/metrics"])
async def test_what_describes_the_service_needs_no_token(
    query_client: httpx.AsyncClient, path: str
) -> None:
    assert (await query_client.get(f"http://query.test{path}")).status_code == 200
