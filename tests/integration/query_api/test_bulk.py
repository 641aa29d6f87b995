"""How far a bulk operation has come, as those see it who may."""

from uuid import UUID, uuid4

import httpx

from events.domain.bulk import Tally
from infrastructure.principals import Role
from tests.fixtures.query_api import COMMAND_URL, QUERY_URL, AuthHeaders, World


async def test_an_operation_shows_what_was_asked_for_and_how_far_it_is(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    bulk_id = await world.bulk(await world.user(), tool="no-op", error_code="CORRUPT_FILE")
    await world.progress_bulk(bulk_id, Tally(uuid4(), matched=5, changed=4, skipped=1))
    position = await world.project()

    answer = await query_client.get(f"/bulk/{bulk_id}", headers=await auth_headers())

    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Applied-Position"] == str(position)
    told = answer.json()
    assert (told["action"], told["status"], told["dry_run"]) == ("retry", "running", False)
    assert (told["matched"], told["changed"], told["skipped"]) == (5, 4, 1)
    assert (told["filter"]["tool"], told["filter"]["error_code"]) == ("no-op", "CORRUPT_FILE")
    assert told["filter"]["labels"] == {"team": "red"}
    assert told["links"] == {
        "self": f"{QUERY_URL}/api/v1/bulk/{bulk_id}",
        "cancel": f"{COMMAND_URL}/api/v1/bulk/{bulk_id}/cancel",
    }


async def test_an_operation_that_has_ended_cannot_be_stopped(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    bulk_id = await world.bulk(await world.user())
    await world.project()
    await world.progress_bulk(bulk_id, Tally(matched=2, changed=2), is_last=True)
    await world.project()

    told = (await query_client.get(f"/bulk/{bulk_id}", headers=await auth_headers())).json()

    assert (told["status"], told["changed"], told["ended_at"] is None) == ("finished", 2, False)
    assert "cancel" not in told["links"]


async def test_one_reads_what_one_has_just_asked_for(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    bulk_id = await world.bulk(await world.user())

    late = await query_client.get(f"/bulk/{bulk_id}", headers=await auth_headers())

    assert (late.status_code, late.json()["code"]) == (503, "PROJECTION_BEHIND")


async def test_an_operation_of_others_does_not_exist(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    bulk_id = await world.bulk(await world.user())
    job_id = await world.submit()
    await world.project()
    strangers = [
        await auth_headers(name="somebody else"),
        await auth_headers(Role.ADMIN, tenant="globex"),
    ]

    answers = [await query_client.get(f"/bulk/{bulk_id}", headers=each) for each in strangers]
    answers.append(await query_client.get(f"/bulk/{job_id}", headers=await auth_headers()))

    assert {(each.status_code, each.json()["code"]) for each in answers} == {
        (404, "BULK_NOT_FOUND")
    }


async def pages(
    client: httpx.AsyncClient, headers: dict[str, str], **query: object
) -> list[list[str]]:
    """The ids on every page, as a client that follows the cursors sees them."""
    found: list[list[str]] = []
    given = {name: str(value) for name, value in query.items()}
    while True:
        answer = await client.get("/bulk", headers=headers, params=given)
        assert answer.status_code == 200, answer.text
        found.append([each["bulk_id"] for each in answer.json()["items"]])
        if answer.json()["next_cursor"] is None:
            return found
        given["cursor"] = answer.json()["next_cursor"]


async def test_operations_are_listed_newest_first_page_by_page(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    asked = [str(await world.bulk(await world.user())) for _ in range(5)]
    await world.progress_bulk(UUID(asked[1]), Tally(matched=2, changed=2), is_last=True)
    await world.project()
    headers = await auth_headers()
    newest = asked[::-1]

    assert await pages(query_client, headers, limit=2) == [newest[:2], newest[2:4], newest[4:]]
    assert await pages(query_client, headers, status="finished") == [[asked[1]]]
    assert (await query_client.get("/bulk", headers=headers)).json()["items"][-2] == (
        (await query_client.get(f"/bulk/{asked[1]}", headers=headers)).json()
    )


async def test_one_sees_one_s_own_operations_and_an_operator_the_tenant_s(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    bulk_id = str(await world.bulk(await world.user()))
    await world.project()

    seen = {
        "own": await pages(query_client, await auth_headers()),
        "somebody else": await pages(query_client, await auth_headers(name="somebody else")),
        "operator": await pages(query_client, await auth_headers(Role.OPERATOR, name="olga")),
        "stranger": await pages(query_client, await auth_headers(Role.ADMIN, tenant="globex")),
    }

    assert seen == {
        "own": [[bulk_id]],
        "somebody else": [[]],
        "operator": [[bulk_id]],
        "stranger": [[]],
    }


async def test_a_cursor_of_another_question_is_refused(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    for _ in range(2):
        await world.bulk(await world.user())
    await world.project()
    headers = await auth_headers()
    page = (await query_client.get("/bulk", headers=headers, params={"limit": 1})).json()
    query = {"cursor": page["next_cursor"], "status": "running"}

    refused = await query_client.get("/bulk", headers=headers, params=query)

    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_CURSOR")
