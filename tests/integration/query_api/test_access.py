"""Who may ask what: every route, with no token, a stranger's, and a role too low.

A route that is missing from the table fails the first test, so nobody can add one unguarded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from infrastructure.ids import uuid7
from infrastructure.principals import Principal, Role
from query_api.app import create_app
from query_api.settings import QueryApiSettings
from tests.fixtures.query_api import AuthHeaders, World, query_api

TENANT_ONLY = frozenset({Role.OPERATOR, Role.ADMIN, Role.AUDITOR})


@dataclass(frozen=True)
class Access:
    """Which roles may, and whether the route names a job, or a schedule or workflow of jobs."""

    roles: frozenset[Role] = frozenset(Role)
    is_of_a_job: bool = False


TABLE = {
    "/api/v1/jobs": Access(),
    "/api/v1/jobs/{job_id}": Access(is_of_a_job=True),
    "/api/v1/jobs/{job_id}/attempts/{number}/log": Access(is_of_a_job=True),
    "/api/v1/jobs/{job_id}/events": Access(is_of_a_job=True),
    "/api/v1/jobs/{job_id}/outputs.zip": Access(is_of_a_job=True),
    "/api/v1/jobs/{job_id}/outputs/{name}": Access(is_of_a_job=True),
    "/api/v1/jobs/{job_id}/report": Access(is_of_a_job=True),
    "/api/v1/jobs/{job_id}/stream": Access(is_of_a_job=True),
    "/api/v1/limits": Access(TENANT_ONLY),
    "/api/v1/queues": Access(TENANT_ONLY),
    "/api/v1/schedules": Access(),
    "/api/v1/schedules/{schedule_id}": Access(is_of_a_job=True),
    "/api/v1/tools": Access(),
    "/api/v1/tools/{tool}": Access(),
    "/api/v1/workflows": Access(),
    "/api/v1/workflows/{workflow_id}": Access(is_of_a_job=True),
    "/api/v1/workflows/{workflow_id}/events": Access(is_of_a_job=True),
    "/api/v1/stats/overview": Access(TENANT_ONLY),
    "/api/v1/bulk": Access(),
    "/api/v1/bulk/{bulk_id}": Access(),
    "/api/v1/projections": Access(TENANT_ONLY),
    "/api/v1/workers": Access(TENANT_ONLY),
}
OPEN = {"/health", "/ready", "/metrics", "/docs", "/docs/oauth2-redirect", "/openapi.json"}
JOB_ROUTES = [path for path, access in TABLE.items() if access.is_of_a_job]


def test_every_route_is_in_the_table(query_settings: QueryApiSettings) -> None:
    assert {path for path, _ in routes_of(create_app(query_settings))} == TABLE.keys() | OPEN


def test_every_guarded_route_only_reads(query_settings: QueryApiSettings) -> None:
    methods: dict[str, set[str]] = {path: set() for path in TABLE}
    for path, allowed in routes_of(create_app(query_settings)):
        if path in methods:
            methods[path] |= allowed

    assert methods == {path: {"GET", "HEAD"} for path in TABLE}


@pytest.mark.parametrize("path", TABLE)
async def test_without_a_token_nothing_is_told(query_client: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "HEAD"):
        answer = await query_client.request(method, url_of(path, uuid7()))

        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        if method == "GET":
            assert answer.json()["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("path", TABLE)
async def test_each_role_may_what_the_table_says(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders, path: str
) -> None:
    url = await url_of_own_job(world, path)

    allowed = set()
    for role in Role:
        answer = await query_client.get(url, headers=await auth_headers(role))
        assert answer.status_code in (200, 403)
        if answer.status_code == 200:
            allowed.add(role)
        else:
            assert answer.json()["code"] == "FORBIDDEN"

    assert allowed == TABLE[path].roles


@pytest.mark.parametrize("path", JOB_ROUTES)
@pytest.mark.parametrize("role", Role)
async def test_a_job_of_another_tenant_does_not_exist(
    query_client: httpx.AsyncClient,
    world: World,
    auth_headers: AuthHeaders,
    path: str,
    role: Role,
) -> None:
    url = await url_of_own_job(world, path)
    headers = await auth_headers(role, tenant="globex")

    theirs = await query_client.get(url, headers=headers)
    absent = await query_client.get(url_of(path, uuid7()), headers=headers)

    assert theirs.status_code == 404
    assert without_request_id(theirs) == without_request_id(absent)


@pytest.mark.parametrize("path", JOB_ROUTES)
async def test_a_job_of_another_client_does_not_exist(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders, path: str
) -> None:
    url = await url_of_own_job(world, path)
    headers = await auth_headers(name="somebody else")

    theirs = await query_client.get(url, headers=headers)
    absent = await query_client.get(url_of(path, uuid7()), headers=headers)

    assert theirs.status_code == 404
    assert without_request_id(theirs) == without_request_id(absent)


async def test_lists_and_numbers_hold_nothing_of_another_tenant(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.submit()
    await world.project()
    headers = await auth_headers(Role.ADMIN, tenant="globex")

    listed = await query_client.get("/jobs", headers=headers)
    overview = await query_client.get("/stats/overview", headers=headers)

    assert listed.json()["items"] == []
    assert (sum(overview.json()["jobs"].values()), overview.json()["tools"]) == (0, [])


async def test_a_disabled_user_is_out(
    query_settings: QueryApiSettings,
    world: World,
    token_of: Callable[[Principal], dict[str, str]],
) -> None:
    user = await world.user()
    await world.end_sessions(user)

    async with query_api(create_app(query_settings)) as client:
        answer = await client.get("/jobs", headers=token_of(user))

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "changes", [{"tenant": "acme", "sub": "x"}, {"exp": 1}, {"aud": "another"}, {"typ": "refresh"}]
)
async def test_a_token_that_is_not_quite_right_is_refused(
    query_client: httpx.AsyncClient,
    auth_headers: AuthHeaders,
    query_settings: QueryApiSettings,
    changes: dict[str, Any],
) -> None:
    token = (await auth_headers())["Authorization"].partition(" ")[2]
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    forged = jwt.encode(claims, query_settings.secret_key.get_secret_value(), "HS256")

    answer = await query_client.get("/jobs", headers={"Authorization": f"Bearer {forged}"})

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


async def test_one_request_too_many_has_to_wait(
    query_settings: QueryApiSettings, auth_headers: AuthHeaders
) -> None:
    settings = query_settings.model_copy(update={"requests_per_minute": 2})
    headers = await auth_headers()

    async with query_api(create_app(settings)) as client:
        answers = [await client.get("/jobs", headers=headers) for _ in range(5)]

    refused = [answer for answer in answers if answer.status_code == 429]
    # The minute may turn in between.
    assert len(refused) in (1, 2, 3)
    assert int(refused[-1].headers["Retry-After"]) >= 1


def routes_of(app: FastAPI) -> list[tuple[str, set[str]]]:
    """Every path with its methods, whatever router it lies in."""
    found: list[tuple[str, set[str]]] = []
    for route in app.routes:
        if isinstance(route, Route):
            found.append((route.path, set(route.methods or ())))
        else:
            # The framework keeps what was included as it is, and only it knows the whole paths.
            contexts = route.effective_route_contexts()  # type: ignore[attr-defined]
            found += [(context.path_format, set(context.methods)) for context in contexts]
    return found


def url_of(path: str, job_id: UUID) -> str:
    """The route's path with something in its gaps."""
    filled = path.removeprefix("/api/v1").replace("{job_id}", str(job_id))
    filled = filled.replace("{schedule_id}", str(job_id)).replace("{workflow_id}", str(job_id))
    gaps = {"{name}": "a.webp", "{tool}": "image-converter", "{number}": "1"}
    for gap, value in gaps.items():
        filled = filled.replace(gap, value)
    return filled


async def url_of_own_job(world: World, path: str) -> str:
    """The route for a job of the client that there is."""
    await world.offer()
    job_id = await world.submit()
    await world.succeed(job_id, {"a.webp": b"webp"})
    await world.wrote(job_id, 1, "said")
    bulk_id = await world.bulk(await world.user())
    if "{schedule_id}" in path:
        job_id = await world.schedule()
    if "{workflow_id}" in path:
        job_id = await world.workflow()
    await world.project()
    return url_of(path, job_id).replace("{bulk_id}", str(bulk_id))


def without_request_id(answer: httpx.Response) -> dict[str, Any]:
    """What the problem says apart from the one thing that always differs."""
    problem: dict[str, Any] = answer.json()
    del problem["request_id"]
    return problem
