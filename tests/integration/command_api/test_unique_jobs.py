"""Of the jobs with one key there is one at a time, also when many come at once."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.fixtures.command_api import CommandApi, offer

Headers = dict[str, str]
AT_ONCE = 50


async def submit(client: httpx.AsyncClient, headers: Headers, **body: Any) -> httpx.Response:
    return await client.post("/jobs", json={"tool": "no-op", **body}, headers=headers)


async def job_of(client: httpx.AsyncClient, headers: Headers, **body: Any) -> tuple[str, bool]:
    """The job that the answer names, and whether it is another's."""
    answer = await submit(client, headers, **body)
    assert answer.status_code in (200, 202), answer.text
    named = answer.json()
    assert named["is_duplicate"] == (answer.status_code == 200)
    return named["job_id"], named["is_duplicate"]


async def test_the_same_key_gets_the_job_that_holds_it(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    first = await job_of(client, auth_headers, unique={"key": "report"})
    head = await api.log.head()

    again = await job_of(client, auth_headers, unique={"key": "report"})
    rejected = await submit(client, auth_headers, unique={"key": "report", "on_conflict": "reject"})

    assert again == (first[0], True)
    assert (rejected.status_code, rejected.json()["code"]) == (409, "JOB_NOT_UNIQUE")
    assert rejected.json()["details"]["job_id"] == first[0]
    assert await api.log.head() == head


async def test_many_at_once_make_one_job(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    head = await api.log.head()

    named = await asyncio.gather(
        *(job_of(client, auth_headers, unique={"key": "stampede"}) for _ in range(AT_ONCE))
    )

    assert len({job_id for job_id, _ in named}) == 1
    assert [is_duplicate for _, is_duplicate in named].count(False) == 1
    topics = [row.topic.rpartition(".")[2] for row in await api.log.read_after(head)]
    assert topics == ["submitted", "reserved"]


async def test_many_at_once_after_the_holder_ended_make_one_more(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    first, _ = await job_of(client, auth_headers, unique={"key": "again"})
    await api.succeed(UUID(first), {})

    named = await asyncio.gather(
        *(job_of(client, auth_headers, unique={"key": "again"}) for _ in range(AT_ONCE))
    )

    assert len({job_id for job_id, _ in named} | {first}) == 2


@pytest.mark.parametrize("end", ["succeed", "fail", "cancel"])
async def test_an_ended_job_keeps_nobody_away(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers, end: str
) -> None:
    unique = {"key": f"end-{end}"}
    first, _ = await job_of(client, auth_headers, unique=unique)
    if end == "succeed":
        await api.succeed(UUID(first), {})
    elif end == "fail":
        await api.fail(UUID(first), "BAD_FILE", "no")
    else:
        await client.post(f"/jobs/{first}/cancel", headers=auth_headers)

    second, is_duplicate = await job_of(client, auth_headers, unique=unique)

    assert second != first
    assert not is_duplicate


async def test_scopes_and_tenants_keep_keys_apart(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    await api.introduce("other-tool", offer())
    gina = api.headers("gina")
    asked: list[tuple[Headers, dict[str, Any]]] = [
        (auth_headers, {"unique": {"key": "k"}}),
        (auth_headers, {"unique": {"key": "k"}, "tool": "other-tool"}),
        (auth_headers, {"unique": {"key": "k", "scope": "queue"}}),
        (auth_headers, {"unique": {"key": "k", "scope": "queue"}, "queue": "night"}),
        (auth_headers, {"unique": {"key": "k", "scope": "tenant"}}),
        (auth_headers, {"unique": {"key": "K", "scope": "tenant"}}),
        (gina, {"unique": {"key": "k", "scope": "tenant"}}),
    ]

    named = [await job_of(client, headers, **body) for headers, body in asked]
    whole_tenant = await job_of(
        client,
        api.headers("bob"),
        tool="other-tool",
        queue="night",
        unique={"key": "k", "scope": "tenant"},
    )

    assert len({job_id for job_id, _ in named}) == len(asked)
    assert whole_tenant == (named[4][0], True)


async def test_the_key_is_nowhere_in_the_log(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    head = await api.log.head()

    await job_of(client, auth_headers, unique={"key": "alice@example.org"})

    rows = await api.log.read_after(head)
    assert len(rows) == 2
    assert not any(b"alice@example.org" in row.state for row in rows)


async def test_a_key_held_for_a_time_outlives_the_job(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    unique = {"key": "hourly", "until": 3600}
    first, _ = await job_of(client, auth_headers, unique=unique)
    await api.succeed(UUID(first), {})

    assert await job_of(client, auth_headers, unique=unique) == (first, True)


async def test_a_started_job_may_let_go(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    unique = {"key": "debounce", "until": "started"}
    first, _ = await job_of(client, auth_headers, unique=unique)
    assert await job_of(client, auth_headers, unique=unique) == (first, True)

    await api.fail(UUID(first), "BUSY", "later", permanent=False)

    second, is_duplicate = await job_of(client, auth_headers, unique=unique)
    assert (second != first, is_duplicate) == (True, False)


async def test_a_job_is_not_tried_again_beside_the_one_that_took_its_key(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    unique = {"key": "reopened"}
    first, _ = await job_of(client, auth_headers, unique=unique)
    await api.fail(UUID(first), "BAD_FILE", "no")
    second, _ = await job_of(client, auth_headers, unique=unique)

    refused = await client.post(f"/jobs/{first}/retry", headers=auth_headers)
    await api.succeed(UUID(second), {})
    retried = await client.post(f"/jobs/{first}/retry", headers=auth_headers)

    assert (refused.status_code, refused.json()["code"]) == (409, "JOB_NOT_UNIQUE")
    assert retried.status_code == 202, retried.text
    assert await job_of(client, auth_headers, unique=unique) == (first, True)


async def test_files_of_a_duplicate_are_not_kept(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    first, _ = await job_of(client, auth_headers, unique={"key": "files"})
    before = api.blob_files()

    answer = await client.post(
        "/tools/no-op/process",
        files={"file": ("a.txt", b"text")},
        data={"unique": '{"key": "files"}'},
        headers=auth_headers,
    )

    assert (answer.status_code, answer.json()["job_id"]) == (200, first)
    assert api.blob_files() == before
