"""How far a bulk operation has come, as those see it who may."""

from uuid import uuid4

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
