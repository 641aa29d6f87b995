"""Schedules as they are shown: their plan, their next times, what came of them, and to whom."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import httpx

from events.contracts.tool import tool_id
from events.domain.schedule import Schedule
from events.domain.tool import Tool
from events.store.log import PostgresLog
from events.store.scheduled_jobs import ScheduledJobs
from infrastructure import postgres
from infrastructure.ids import uuid7
from infrastructure.principals import Role
from tests.fixtures.query_api import AuthHeaders, World


async def fire(world: World, schedule_id: UUID) -> UUID:
    """Somebody wants its job now."""
    found = await world.repository.load(Schedule, schedule_id)
    pool = await postgres.create_pool(world.settings, postgres.Role.COMMAND_API, size=1)
    async with pool:
        jobs = ScheduledJobs(world.repository, PostgresLog(pool), world.sealer)
        job, _ = await jobs.take_now(found, uuid7(), world.origin(found.tenant, found.owner))
    return job.id


async def change(world: World, schedule_id: UUID, act: Any) -> None:
    await world.repository.change(
        Schedule, schedule_id, lambda found: act(found, world.origin(found.tenant, found.owner))
    )


async def test_a_schedule_shows_its_words_times_and_jobs(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.offer()
    schedule_id = await world.schedule()
    first, second = [await fire(world, schedule_id) for _ in range(2)]
    await world.start(first)
    position = await world.project()

    answer = await query_client.get(f"/schedules/{schedule_id}", headers=await auth_headers())

    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["name"], shown["status"], shown["cron"]) == ("Nightly", "active", "0 * * * *")
    assert shown["job"]["options"] == {"quality": 3, "password": "(secret)"}
    assert shown["job"]["labels"] == {"customer": "Jo"}
    (file,) = shown["job"]["inputs"]
    assert file == {
        "name": "Jo.png",
        "media_type": "image/png",
        "size_bytes": 9,
        "sha256": "ab" * 32,
    }
    assert shown["job"]["queue_seconds_max"] == 60.0
    assert (shown["fired"], shown["last_job_id"]) == (2, str(second))
    assert shown["last_skip"] is None
    latest = [(job["job_id"], job["status"]) for job in shown["latest_jobs"]]
    assert latest == [(str(second), "queued"), (str(first), "running")]
    times = [datetime.fromisoformat(each) for each in shown["next_fires"]]
    assert times[0] == datetime.fromisoformat(shown["next_at"])
    assert {later - time for time, later in pairwise(times)} == {timedelta(hours=1)}
    assert len(times) == 5
    assert answer.headers["X-Applied-Position"] == str(position)
    job = await query_client.get(f"/jobs/{first}", headers=await auth_headers())
    assert job.json()["schedule_id"] == str(schedule_id)
    assert job.json()["inputs"] == [file]


async def test_a_schedule_shows_why_its_last_time_has_no_job(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    schedule_id = await world.schedule()
    due = datetime.now(UTC) + timedelta(hours=1)
    await change(
        world,
        schedule_id,
        lambda found, at: found.forgo("TOOL_UNAVAILABLE", replace(at, at=due)),
    )
    await world.project()
    headers = await auth_headers()

    shown = (await query_client.get(f"/schedules/{schedule_id}", headers=headers)).json()
    page = (await query_client.get("/schedules", headers=headers)).json()

    assert shown["last_skip"]["reason"] == "TOOL_UNAVAILABLE"
    tick = datetime.fromisoformat(shown["last_skip"]["tick"])
    assert (tick.minute, due - timedelta(hours=1) < tick <= due) == (0, True)
    assert (shown["fired"], shown["passed_over"]) == (0, 1)
    assert [each["last_skip"] for each in page["items"]] == [shown["last_skip"]]


async def test_a_paused_schedule_has_no_next_time_and_a_deleted_one_is_gone(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    kept, gone = await world.schedule(), await world.schedule()
    await change(world, kept, Schedule.pause)
    await change(world, gone, Schedule.delete)
    await world.project()
    headers = await auth_headers()

    paused = (await query_client.get(f"/schedules/{kept}", headers=headers)).json()
    deleted = await query_client.get(f"/schedules/{gone}", headers=headers)
    page = (await query_client.get("/schedules", headers=headers)).json()

    assert (paused["status"], paused["next_at"], paused["next_fires"]) == ("paused", None, [])
    assert "resume" in paused["links"]
    assert (deleted.status_code, deleted.json()["code"]) == (404, "SCHEDULE_NOT_FOUND")
    assert [each["schedule_id"] for each in page["items"]] == [str(kept)]


async def test_pages_show_every_schedule_once_newest_first(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    made = [await world.schedule(name=f"number {number}") for number in range(5)]
    await world.project()
    headers, query, shown = await auth_headers(), {"limit": "2"}, []
    while True:
        page = (await query_client.get("/schedules", params=query, headers=headers)).json()
        shown += [UUID(each["schedule_id"]) for each in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert shown == made[::-1]


async def test_ones_own_write_is_waited_for_and_what_never_was_is_not(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    schedule_id = await world.schedule()
    headers = await auth_headers()

    behind = await query_client.get(f"/schedules/{schedule_id}", headers=headers)
    absent = await query_client.get(f"/schedules/{uuid7()}", headers=headers)
    await world.project()
    there = await query_client.get(f"/schedules/{schedule_id}", headers=headers)

    assert (behind.status_code, behind.json()["code"]) == (503, "PROJECTION_BEHIND")
    assert (absent.status_code, there.status_code) == (404, 200)


async def test_walls_stand_between_owners_and_tenants(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    schedule_id = await world.schedule()
    unseen = await world.schedule(await world.user(tenant="globex"))
    await world.project()
    url = f"/schedules/{schedule_id}"

    for headers in (
        await auth_headers(name="other"),
        await auth_headers(tenant="globex"),
        await auth_headers(Role.ADMIN, tenant="globex"),
    ):
        assert (await query_client.get(url, headers=headers)).status_code == 404
        page = (await query_client.get("/schedules", headers=headers)).json()
        assert str(schedule_id) not in [each["schedule_id"] for each in page["items"]]
    for role in (Role.OPERATOR, Role.AUDITOR):
        headers = await auth_headers(role)
        assert (await query_client.get(url, headers=headers)).status_code == 200
        assert (await query_client.get(f"/schedules/{unseen}", headers=headers)).status_code == 404
        page = (await query_client.get("/schedules", headers=headers)).json()
        assert [each["schedule_id"] for each in page["items"]] == [str(schedule_id)]


async def test_a_job_fired_by_a_schedule_runs_the_tool_as_it_is_now(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.offer()
    schedule_id = await world.schedule()

    def newer(tool: Tool) -> None:
        assert tool.offered is not None
        tool.offer(replace(tool.offered, version="2"), world.origin("platform", "worker:1"))

    await world.repository.change(Tool, tool_id("image-converter"), newer)
    job_id = await fire(world, schedule_id)
    await world.project()

    job = await query_client.get(f"/jobs/{job_id}", headers=await auth_headers())

    assert job.json()["tool_version"] == "2"
    assert job.json()["queue_seconds_max"] == 60.0
