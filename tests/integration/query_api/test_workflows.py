"""Workflows as they are shown: their steps, their picture, their history, and to whom."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from events.contracts.values import JobStatus
from infrastructure.ids import uuid7
from infrastructure.principals import Role
from tests.factories.workflows import at_least, end, run, start, step
from tests.fixtures.events import origin
from tests.fixtures.query_api import COMMAND_URL, QUERY_URL, AuthHeaders, World

PLAN = (
    step("make"),
    step("check", "make", for_each="make", quorum=at_least(1)),
    step("end", "make", takes=["check"], queue="bulk", priority=3),
)


async def half_way(world: World) -> tuple[UUID, list[UUID]]:
    """A workflow whose second step has two jobs, one of which has failed."""
    workflow_id = await world.workflow(*PLAN)
    await world.move(workflow_id, lambda workflow: run(workflow, "make"))
    jobs: list[UUID] = []
    await world.move(workflow_id, lambda workflow: jobs.extend(start(workflow, "check", 2)))
    await world.move(workflow_id, lambda workflow: end(workflow, jobs[1:], JobStatus.FAILED))
    return workflow_id, jobs


async def test_a_workflow_shows_every_step_and_its_jobs(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    workflow_id, (first, other) = await half_way(world)
    position = await world.project()

    answer = await query_client.get(f"/workflows/{workflow_id}", headers=await auth_headers())

    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Applied-Position"] == str(position)
    shown = answer.json()
    assert (shown["name"], shown["kind"], shown["status"]) == ("Everything", "workflow", "running")
    assert (shown["round"], shown["labels"], shown["ended_at"]) == (1, {"team": "red"}, None)
    assert (shown["counts"]["steps"], shown["counts"]["jobs_failed"]) == (3, 1)
    assert (shown["version"], shown["position"]) == (5, position)
    make, check, last = shown["steps"]
    assert [each["status"] for each in shown["steps"]] == ["succeeded", "running", "pending"]
    assert check["jobs"] == [
        {
            "job_id": str(job),
            "ended": how,
            "links": {"self": f"{QUERY_URL}/api/v1/jobs/{job}"},
        }
        for job, how in ((first, None), (other, "failed"))
    ]
    assert (check["for_each"], check["quorum"], check["join"]) == ("make", {"at_least": 1}, "all")
    assert (last["after"], last["takes"], last["round"]) == (["make"], ["check"], 0)
    assert (last["queue"], last["priority"], last["jobs"]) == ("bulk", 3, [])
    assert make["ended_at"] is not None
    path = f"/api/v1/workflows/{workflow_id}"
    assert shown["links"] == {
        "self": f"{QUERY_URL}{path}",
        "events": f"{QUERY_URL}{path}/events",
        "mermaid": f"{QUERY_URL}{path}?format=mermaid",
        "cancel": f"{COMMAND_URL}{path}/cancel",
    }


async def test_the_tag_of_a_workflow_changes_with_it(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    workflow_id, jobs = await half_way(world)
    await world.project()
    headers, url = await auth_headers(), f"/workflows/{workflow_id}"
    known = {"If-None-Match": (await query_client.get(url, headers=headers)).headers["ETag"]}

    same = await query_client.get(url, headers=headers | known)
    await world.move(workflow_id, lambda workflow: end(workflow, jobs))
    await world.project()
    other = await query_client.get(url, headers=headers | known)

    assert (same.status_code, other.status_code) == (304, 200)
    assert [each["status"] for each in other.json()["steps"]][1] == "succeeded"


async def test_a_workflow_is_drawn_with_a_class_for_each_state(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    workflow_id, _ = await half_way(world)
    await world.project()

    answer = await query_client.get(
        f"/workflows/{workflow_id}", params={"format": "mermaid"}, headers=await auth_headers()
    )

    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/vnd.mermaid; charset=utf-8"
    lines = [line.strip() for line in answer.text.splitlines()]
    assert lines[:7] == [
        "flowchart TD",
        's1["make<br/>no-op<br/>succeeded"]:::succeeded',
        's2["check<br/>no-op<br/>1 of 2 ended<br/>running"]:::running',
        's3["end<br/>no-op<br/>pending"]:::pending',
        "s1 ==> s2",
        "s1 -.-> s3",
        "s2 --> s3",
    ]
    styled = [line.split()[1] for line in lines[7:] if line.startswith("classDef")]
    assert styled == ["pending", "running", "succeeded", "failed", "skipped", "cancelled"]


async def test_the_history_of_a_workflow_comes_in_parts(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    workflow_id, jobs = await half_way(world)
    position = await world.project()
    url, headers = f"/workflows/{workflow_id}/events", await auth_headers()

    first = await query_client.get(url, params={"limit": 3}, headers=headers)
    rest = await query_client.get(url, params={"after": 3}, headers=headers)

    assert first.status_code == 200, first.text
    assert (first.json()["next_after"], rest.json()["next_after"]) == (3, None)
    events: list[dict[str, Any]] = [*first.json()["items"], *rest.json()["items"]]
    assert [event["topic"].rpartition(".")[2] for event in events] == [
        *("submitted", "step_started", "step_ended", "step_started", "step_jobs_ended")
    ]
    assert [event["version"] for event in events] == [1, 2, 3, 4, 5]
    assert events[0]["details"] == {
        "kind": "workflow",
        "on_failure": "stop",
        "steps": ["make", "check", "end"],
    }
    assert events[4]["details"]["ended"] == {str(jobs[1]): "failed"}
    assert "s1." not in first.text
    assert int(rest.headers["X-Applied-Position"]) == events[4]["position"] == position


async def test_pages_show_every_workflow_once_newest_first(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    made = [await world.workflow(name=f"number {number}") for number in range(5)]
    await world.project()
    headers, query, shown = await auth_headers(), {"limit": "2"}, []
    while True:
        page = (await query_client.get("/workflows", params=query, headers=headers)).json()
        shown += [UUID(each["workflow_id"]) for each in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    foreign = await query_client.get(
        "/workflows", params={**query, "status": "failed"}, headers=headers
    )

    assert shown == made[::-1]
    assert (foreign.status_code, foreign.json()["code"]) == (422, "INVALID_CURSOR")


async def test_only_workflows_in_a_state_are_listed(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    running, failed, cancelled = [await world.workflow() for _ in range(3)]
    await world.move(failed, lambda workflow: run(workflow, "only", JobStatus.FAILED))
    await world.move(cancelled, lambda workflow: workflow.cancel(origin()))
    await world.project()

    async def listed(*statuses: str) -> list[tuple[str, str, bool]]:
        answer = await query_client.get(
            "/workflows", params={"status": statuses}, headers=await auth_headers()
        )
        assert answer.status_code == 200, answer.text
        return [
            (each["workflow_id"], each["status"], "retry" in each["links"])
            for each in answer.json()["items"]
        ]

    assert await listed("running") == [(str(running), "running", False)]
    assert await listed("failed", "cancelled") == [
        (str(cancelled), "cancelled", True),
        (str(failed), "failed", True),
    ]


async def test_a_workflow_tried_again_shows_its_round(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    workflow_id = await world.workflow(step("a"), step("b", "a"), name=None)
    await world.move(workflow_id, lambda workflow: run(workflow, "a"))
    await world.move(workflow_id, lambda workflow: workflow.fail_step("b", "GONE", origin()))
    await world.project()
    headers = await auth_headers()
    url = f"/workflows/{workflow_id}"

    failed = (await query_client.get(url, headers=headers)).json()
    await world.move(workflow_id, lambda workflow: workflow.reopen(None, origin()))
    await world.move(workflow_id, lambda workflow: run(workflow, "b"))
    await world.project()
    again = (await query_client.get(url, headers=headers)).json()

    assert (failed["status"], failed["steps"][1]["code"]) == ("failed", "GONE")
    assert (again["status"], again["round"], again["name"]) == ("succeeded", 2, None)
    assert [each["round"] for each in again["steps"]] == [1, 2]
    assert {"cancel", "retry"}.isdisjoint(again["links"])


async def test_a_workflow_whose_data_were_erased_keeps_its_numbers(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    workflow_id = await world.workflow()
    await world.project()
    await world.erase(workflow_id)

    shown = await query_client.get(f"/workflows/{workflow_id}", headers=await auth_headers())

    assert (shown.json()["name"], shown.json()["labels"]) == ("(erased)", None)
    assert shown.json()["counts"]["steps"] == 1


@pytest.mark.parametrize("path", ["", "/events"])
async def test_ones_own_write_is_waited_for_and_what_never_was_is_not(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders, path: str
) -> None:
    workflow_id, job_id = await world.workflow(), await world.submit()
    headers = await auth_headers()
    url = f"/workflows/{workflow_id}{path}"

    behind = await query_client.get(url, headers=headers)
    position = await world.project()
    there = await query_client.get(url, params={"min_position": position}, headers=headers)
    ahead = await query_client.get(url, params={"min_position": position + 1}, headers=headers)
    absent = [
        await query_client.get(f"/workflows/{each}{path}", headers=headers)
        for each in (uuid7(), job_id)
    ]

    assert (behind.status_code, behind.json()["code"]) == (503, "PROJECTION_BEHIND")
    assert (there.status_code, ahead.status_code) == (200, 503)
    assert {(each.status_code, each.json()["code"]) for each in absent} == {
        (404, "WORKFLOW_NOT_FOUND")
    }


@pytest.mark.parametrize(
    "query", [{"status": "sleeping"}, {"limit": "0"}, {"cursor": "x"}, {"state": "failed"}]
)
async def test_a_list_that_makes_no_sense_is_refused(
    query_client: httpx.AsyncClient, auth_headers: AuthHeaders, query: dict[str, str]
) -> None:
    answer = await query_client.get("/workflows", params=query, headers=await auth_headers())

    assert answer.status_code == 422


async def test_a_format_that_is_not_there_is_refused(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    workflow_id = await world.workflow()
    await world.project()

    answer = await query_client.get(
        f"/workflows/{workflow_id}", params={"format": "dot"}, headers=await auth_headers()
    )

    assert (answer.status_code, answer.json()["details"][0]["field"]) == (422, "format")


async def test_walls_stand_between_owners_and_tenants(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    workflow_id = await world.workflow()
    unseen = await world.workflow(owner=await world.user(tenant="globex"))
    await world.project()
    url = f"/workflows/{workflow_id}"

    for headers in (
        await auth_headers(name="other"),
        await auth_headers(tenant="globex"),
        await auth_headers(Role.ADMIN, tenant="globex"),
    ):
        for path in ("", "/events", "?format=mermaid"):
            assert (await query_client.get(f"{url}{path}", headers=headers)).status_code == 404
        page = (await query_client.get("/workflows", headers=headers)).json()
        assert str(workflow_id) not in [each["workflow_id"] for each in page["items"]]
    for role in (Role.OPERATOR, Role.AUDITOR):
        headers = await auth_headers(role)
        assert (await query_client.get(url, headers=headers)).status_code == 200
        assert (await query_client.get(f"/workflows/{unseen}", headers=headers)).status_code == 404
        page = (await query_client.get("/workflows", headers=headers)).json()
        assert [each["workflow_id"] for each in page["items"]] == [str(workflow_id)]
