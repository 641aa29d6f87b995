"""Every route, asked by everybody who may not: the table fails when a route is missing from it."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import APIRoute

from command_api.app import create_app
from infrastructure.tokens import TokenIssuer
from tests.fixtures.command_api import PASSWORD, PREFIX, CommandApi, command_settings

OPEN = "open"
"""Needs no token."""
ANYBODY = "anybody"
"""Needs a token, of whatever role."""
CLIENT = "client"
"""Refuses auditors."""
OPERATOR = "operator"
"""Refuses clients and auditors."""
ADMIN = "admin"
"""Refuses everybody but administrators."""

SCHEDULE = {"name": "Yearly", "cron": "0 0 1 1 *", "job": {"tool": "no-op"}}
WORKFLOW = {"steps": [{"id": "one", "tool": "no-op"}]}
BATCH = {"jobs": [{"tool": "no-op"}]}
LIMIT = {"scope": "tenant", "concurrency": 100}
FILES = {"files": {"file": ("a.txt", b"text")}}


@dataclass(frozen=True)
class Door:
    """A route, and who may come through."""

    method: str
    path: str
    needs: str
    request: dict[str, Any]


DOORS = [
    Door("POST", "/auth/token", OPEN, {"data": {"username": "olga", "password": PASSWORD}}),
    Door("POST", "/auth/refresh", OPEN, {"json": {"refresh_token": "none"}}),
    Door("POST", "/auth/revoke", OPEN, {"json": {"refresh_token": "none"}}),
    Door("POST", "/tools/{tool}/process", CLIENT, FILES),
    Door("POST", "/uploads", CLIENT, FILES),
    Door("POST", "/jobs", CLIENT, {"json": {"tool": "no-op"}}),
    Door("PATCH", "/jobs/{job_id}", CLIENT, {"json": {"priority": 1}}),
    Door("POST", "/jobs/{job_id}/cancel", CLIENT, {}),
    Door("POST", "/jobs/{job_id}/retry", CLIENT, {}),
    Door("POST", "/jobs/bulk", CLIENT, {"json": {"action": "retry", "filter": {}}}),
    Door("POST", "/bulk/{bulk_id}/cancel", CLIENT, {}),
    Door("POST", "/workflows", CLIENT, {"json": WORKFLOW}),
    Door("POST", "/batches", CLIENT, {"json": BATCH}),
    Door("POST", "/workflows/{workflow_id}/cancel", CLIENT, {}),
    Door("POST", "/workflows/{workflow_id}/retry", CLIENT, {}),
    Door("POST", "/schedules", CLIENT, {"json": SCHEDULE}),
    Door("PATCH", "/schedules/{schedule_id}", CLIENT, {"json": {"cron": "0 * * * *"}}),
    Door("DELETE", "/schedules/{schedule_id}", CLIENT, {}),
    Door("POST", "/schedules/{schedule_id}/pause", CLIENT, {}),
    Door("POST", "/schedules/{schedule_id}/resume", CLIENT, {}),
    Door("POST", "/schedules/{schedule_id}/fire", CLIENT, {}),
    Door("POST", "/queues/{queue}/pause", OPERATOR, {}),
    Door("POST", "/queues/{queue}/resume", OPERATOR, {}),
    Door("PUT", "/limits", OPERATOR, {"json": LIMIT}),
    Door("DELETE", "/limits/{limit_id}", OPERATOR, {}),
    Door("POST", "/users", ADMIN, {"json": {"username": "x", "password": PASSWORD}}),
    Door("GET", "/users", ADMIN, {}),
    Door("GET", "/users/me", ANYBODY, {}),
    Door("GET", "/users/{user_id}", ADMIN, {}),
    Door("PATCH", "/users/{user_id}", ADMIN, {"json": {"role": "admin"}}),
]
PROTECTED = [door for door in DOORS if door.needs != OPEN]
MAY = {
    ANYBODY: {"alice", "olga", "ada", "otto"},
    CLIENT: {"alice", "olga", "ada"},
    OPERATOR: {"olga", "ada"},
    ADMIN: {"ada"},
}


def routes_of_the_application() -> set[tuple[str, str]]:
    """Every method and path below the prefix, as the OpenAPI document and the router know them."""
    app = create_app(command_settings(database_url="postgresql://nowhere/none"))
    documented = {
        (method.upper(), path.removeprefix(PREFIX))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    hidden = [route for route in app.routes if isinstance(route, APIRoute)]
    assert not hidden, "a route beside the routers"
    return documented


def test_no_route_is_missing_from_the_table() -> None:
    assert {(door.method, door.path) for door in DOORS} == routes_of_the_application()


async def ask(
    api: CommandApi, client: httpx.AsyncClient, door: Door, headers: dict[str, str]
) -> httpx.Response:
    """Knock at a door, with ids of things that exist."""
    job = await client.post("/jobs", json={"tool": "no-op"}, headers=api.headers("alice"))
    job_id = job.json()["job_id"]
    schedule = await client.post("/schedules", json=SCHEDULE, headers=api.headers("alice"))
    path = door.path.format(
        tool="no-op",
        job_id=job_id,
        bulk_id=job_id,
        workflow_id=job_id,
        queue="default",
        limit_id=job_id,
        schedule_id=schedule.json()["schedule_id"],
        user_id=api.users["carl"].id,
    )
    return await client.request(door.method, path, headers=headers, **door.request)


@pytest.mark.parametrize("door", PROTECTED, ids=lambda door: f"{door.method} {door.path}")
@pytest.mark.parametrize("header", [None, "Bearer", "Bearer a.b.c", "Basic YTpi", "Bearer a b"])
async def test_nobody_comes_in_without_a_valid_token(
    api: CommandApi, client: httpx.AsyncClient, door: Door, header: str | None
) -> None:
    head = await api.log.head()

    answer = await ask(api, client, door, {} if header is None else {"Authorization": header})

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    assert await api.log.head() == head + 2, "more than the job and schedule of the test"


@pytest.mark.parametrize("door", PROTECTED, ids=lambda door: f"{door.method} {door.path}")
@pytest.mark.parametrize("name", ["alice", "olga", "ada", "otto"])
async def test_a_role_comes_in_where_it_may_and_nowhere_else(
    api: CommandApi, client: httpx.AsyncClient, door: Door, name: str
) -> None:
    answer = await ask(api, client, door, api.headers(name))

    refused = (answer.status_code, answer.json().get("code")) == (403, "FORBIDDEN")
    assert refused == (name not in MAY[door.needs]), answer.text
    assert answer.status_code != 401


@pytest.mark.parametrize("verb", ["cancel", "retry"])
@pytest.mark.parametrize(
    ("name", "may"), [("alice", True), ("olga", True), ("ada", True), ("bob", False)]
)
async def test_a_job_is_steered_by_its_owner_and_the_tenants_operators(
    api: CommandApi, client: httpx.AsyncClient, verb: str, name: str, may: bool
) -> None:
    job = await client.post("/jobs", json={"tool": "no-op"}, headers=api.headers("alice"))

    answer = await client.post(f"/jobs/{job.json()['job_id']}/{verb}", headers=api.headers(name))

    assert (answer.status_code == 404) is not may
    if not may:
        assert answer.json()["code"] == "JOB_NOT_FOUND"


@pytest.mark.parametrize("name", ["gina", "gus"])
@pytest.mark.parametrize("verb", ["cancel", "retry"])
async def test_another_tenants_job_is_like_one_that_never_was(
    api: CommandApi, client: httpx.AsyncClient, name: str, verb: str
) -> None:
    job = await client.post("/jobs", json={"tool": "no-op"}, headers=api.headers("alice"))

    there = await client.post(f"/jobs/{job.json()['job_id']}/{verb}", headers=api.headers(name))
    nowhere = await client.post(f"/jobs/{uuid4()}/{verb}", headers=api.headers(name))

    assert there.status_code == nowhere.status_code == 404
    assert {**there.json(), "request_id": 0} == {**nowhere.json(), "request_id": 0}


async def test_a_token_of_a_user_that_is_gone_or_never_was_does_not_count(
    api: CommandApi, client: httpx.AsyncClient
) -> None:

    stranger = replace(api.users["alice"].principal(), user_id=uuid4())
    token = TokenIssuer(api.settings).issue(stranger).token

    answer = await client.get("/users/me", headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
