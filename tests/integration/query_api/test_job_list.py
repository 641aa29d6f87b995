"""Pages of jobs: whose, which, in what order, and where they go on."""

from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest

from infrastructure.ids import uuid7
from infrastructure.principals import Role
from tests.fixtures.query_api import AuthHeaders, World


def ids(answer: httpx.Response) -> list[UUID]:
    """The jobs of a page."""
    assert answer.status_code == 200, answer.text
    return [UUID(job["job_id"]) for job in answer.json()["items"]]


async def test_pages_show_every_job_once_newest_first(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    jobs = [await world.submit() for _ in range(7)]
    position = await world.project()
    headers = await auth_headers()

    pages, query = [], {"limit": "3"}
    while True:
        answer = await query_client.get("/jobs", params=query, headers=headers)
        pages.append(ids(answer))
        assert answer.headers["X-Applied-Position"] == str(position)
        if (cursor := answer.json()["next_cursor"]) is None:
            break
        # What arrives meanwhile is newer than every page to come.
        await world.submit()
        await world.project()
        position += 1
        query["cursor"] = cursor

    assert pages == [jobs[:3:-1], jobs[3:0:-1], jobs[:1]]


async def test_a_page_that_is_full_to_the_last_job_is_the_last(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    jobs = [await world.submit() for _ in range(2)]
    await world.project()

    answer = await query_client.get("/jobs?limit=2", headers=await auth_headers())

    assert (ids(answer), answer.json()["next_cursor"]) == (jobs[::-1], None)


async def test_no_jobs_are_an_empty_page_with_a_position(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.offer()
    position = await world.project()

    answer = await query_client.get("/jobs", headers=await auth_headers())

    assert answer.json() == {"items": [], "next_cursor": None}
    assert answer.headers["X-Applied-Position"] == str(position)


async def test_a_client_sees_its_own_jobs_and_others_those_of_their_tenant(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    own = await world.submit()
    other = await world.submit(await world.user(name="someone"))
    await world.submit(await world.user(tenant="globex"))
    await world.project()

    seen = {
        role: ids(await query_client.get("/jobs", headers=await auth_headers(role)))
        for role in Role
    }

    everything = [other, own]
    assert seen == {
        Role.CLIENT: [own],
        Role.OPERATOR: everything,
        Role.ADMIN: everything,
        Role.AUDITOR: everything,
    }


async def test_filters_narrow_the_list_together(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    queued = await world.submit(tool="checksum", labels={"team": "red", "run": "a:b"})
    running = await world.submit(tool="checksum", labels={"team": "red"})
    failed = await world.submit(tool="image-resizer", labels={"team": "blue"})
    await world.start(running)
    await world.fail(failed, "broken")
    await world.project()
    headers = await auth_headers()

    async def found(query: str) -> list[UUID]:
        return ids(await query_client.get(f"/jobs?{query}", headers=headers))

    assert await found("status=queued") == [queued]
    assert await found("status=queued&status=failed") == [failed, queued]
    assert await found("tool=checksum") == [running, queued]
    assert await found("label=team:red") == [running, queued]
    assert await found("label=team:red&label=run:a:b") == [queued]
    assert await found("label=team:green") == []
    assert await found("tool=checksum&status=running&label=team:red") == [running]


async def test_jobs_of_a_workflow_name_it_and_their_step_and_are_found_by_it(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    workflow, another = uuid7(), uuid7()
    jobs = [await world.submit(workflow=workflow) for _ in range(3)]
    await world.submit(workflow=another)
    alone = await world.submit()
    await world.submit(await world.user(name="someone"), workflow=workflow)
    await world.start(jobs[1])
    await world.project()
    headers = await auth_headers()
    url = f"/jobs?workflow_id={workflow}"

    first = await query_client.get(f"{url}&limit=2", headers=headers)
    cursor = first.json()["next_cursor"]
    rest = await query_client.get(f"{url}&limit=2&cursor={cursor}", headers=headers)
    running = await query_client.get(f"{url}&status=running", headers=headers)
    elsewhere = await query_client.get(
        f"/jobs?workflow_id={another}&cursor={cursor}", headers=headers
    )
    foreign = await query_client.get(url, headers=await auth_headers(Role.ADMIN, tenant="globex"))

    assert (ids(first), ids(rest), ids(running)) == (jobs[:0:-1], jobs[:1], [jobs[1]])
    assert elsewhere.json()["code"] == "INVALID_CURSOR"
    assert ids(foreign) == []
    shown = {(job["workflow_id"], job["step"]) for job in first.json()["items"]}
    assert shown == {(str(workflow), "scan")}
    for path in (f"/jobs/{jobs[0]}", f"/jobs/{jobs[0]}?at=1"):
        job = (await query_client.get(path, headers=headers)).json()
        assert (job["workflow_id"], job["step"]) == (str(workflow), "scan")
    job = (await query_client.get(f"/jobs/{alone}", headers=headers)).json()
    assert (job["workflow_id"], job["step"]) == (None, None)


async def test_a_label_of_another_tenant_finds_nothing(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.submit(await world.user(tenant="globex"), labels={"team": "red"})
    await world.project()

    answer = await query_client.get("/jobs?label=team:red", headers=await auth_headers(Role.ADMIN))

    assert ids(answer) == []


async def test_jobs_created_after_a_time_are_found(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.submit()
    between = datetime.now(UTC).isoformat()
    later = await world.submit()
    await world.project()

    answer = await query_client.get(
        "/jobs", params={"created_after": between}, headers=await auth_headers()
    )

    assert ids(answer) == [later]


async def test_a_cursor_of_another_query_is_refused(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    for _ in range(2):
        await world.submit()
    await world.project()
    headers = await auth_headers()
    page = await query_client.get("/jobs?limit=1", headers=headers)
    cursor = page.json()["next_cursor"]

    answer = await query_client.get(f"/jobs?status=queued&cursor={cursor}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_CURSOR")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("status=done", "status.0"),
        ("label=red", "label.0"),
        ("created_after=2026-01-01T00:00:00", "created_after"),
        ("created_after=yesterday", "created_after"),
        ("workflow_id=7", "workflow_id"),
        ("stauts=failed", "stauts"),
        (f"cursor={'x' * 300}", "cursor"),
        ("&".join(["label=a:b"] * 9), "label"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused_with_the_name(
    query_client: httpx.AsyncClient, auth_headers: AuthHeaders, query: str, field: str
) -> None:
    answer = await query_client.get(f"/jobs?{query}", headers=await auth_headers())

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert answer.json()["details"][0]["field"] == field
