"""The bytes of results: whole, in parts, under any name, and no longer than promised."""

from uuid import uuid4

import httpx
import pytest

from query_api.app import create_app
from query_api.settings import QueryApiSettings
from tests.fixtures.http import served
from tests.fixtures.query_api import QUERY_URL, AuthHeaders, World

CONTENT = bytes(range(256)) * 8


async def test_an_output_is_an_attachment_with_its_hash_as_tag(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    (file,) = await world.succeed(job_id, {"page.html": CONTENT}, "text/html")
    position = await world.project()

    answer = await query_client.get(
        f"/jobs/{job_id}/outputs/page.html", headers=await auth_headers()
    )

    assert (answer.status_code, answer.content) == (200, CONTENT)
    expected = {
        "Content-Type": "text/html",
        "Content-Length": "2048",
        "Content-Disposition": 'attachment; filename="page.html"',
        "ETag": f'"{file.sha256}"',
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
        "X-Applied-Position": str(position),
    }
    assert {name: answer.headers[name] for name in expected} == expected


@pytest.mark.parametrize(
    "name",
    ["Grüße & Küsse #1.webp", "100%.webp", "a/b.webp", 'say "hi".webp', "a?b=c.webp", "名前.webp"],
)
async def test_any_name_is_reached_by_the_url_that_the_job_shows(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders, name: str
) -> None:
    job_id = await world.submit()
    await world.succeed(job_id, {"other.webp": b"other", name: CONTENT})
    await world.project()
    headers = await auth_headers()
    job = (await query_client.get(f"/jobs/{job_id}", headers=headers)).json()

    answer = await query_client.get(job["outputs"][1]["url"], headers=headers)

    assert job["outputs"][1]["url"].startswith(QUERY_URL)
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize(
    ("asked", "told", "content"),
    [
        ("bytes=0-9", "bytes 0-9/2048", CONTENT[:10]),
        ("bytes=2040-", "bytes 2040-2047/2048", CONTENT[2040:]),
        ("bytes=-3", "bytes 2045-2047/2048", CONTENT[-3:]),
    ],
)
async def test_a_range_is_a_part(
    query_client: httpx.AsyncClient,
    world: World,
    auth_headers: AuthHeaders,
    asked: str,
    told: str,
    content: bytes,
) -> None:
    url = await output_of_new_job(world)

    answer = await query_client.get(url, headers=await auth_headers() | {"Range": asked})

    assert (answer.status_code, answer.content) == (206, content)
    assert answer.headers["Content-Range"] == told
    assert answer.headers["Content-Length"] == str(len(content))


async def test_a_range_behind_the_end_is_refused(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    url = await output_of_new_job(world)

    answer = await query_client.get(url, headers=await auth_headers() | {"Range": "bytes=2048-"})

    assert (answer.status_code, answer.json()["code"]) == (416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["Content-Range"] == "bytes */2048"


async def test_a_range_of_other_bytes_gives_all(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    url = await output_of_new_job(world)
    headers = await auth_headers()
    tag = (await query_client.get(url, headers=headers)).headers["ETag"]

    part = await query_client.get(url, headers=headers | {"Range": "bytes=0-0", "If-Range": tag})
    whole = await query_client.get(url, headers=headers | {"Range": "bytes=0-0", "If-Range": '"x"'})

    assert (part.status_code, whole.status_code) == (206, 200)


async def test_known_bytes_are_not_sent_again(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    url = await output_of_new_job(world)
    headers = await auth_headers()
    tag = (await query_client.get(url, headers=headers)).headers["ETag"]

    answer = await query_client.get(url, headers=headers | {"If-None-Match": tag})

    assert (answer.status_code, answer.content) == (304, b"")


async def test_a_head_request_tells_the_size_and_sends_nothing(
    query_settings: QueryApiSettings, world: World, auth_headers: AuthHeaders
) -> None:
    url = await output_of_new_job(world)
    headers = await auth_headers() | {"Range": "bytes=0-9"}

    async with (
        served(create_app(query_settings)) as address,
        httpx.AsyncClient(timeout=60) as client,
    ):
        answer = await client.head(f"{address}/api/v1{url}", headers=headers)
        job = await client.head(f"{address}/api/v1{url.partition('/outputs')[0]}", headers=headers)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == "2048"
    assert (job.status_code, job.content) == (200, b"")
    assert job.headers["ETag"]


async def test_an_empty_output_is_sent(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    url = await output_of_new_job(world, b"")

    answer = await query_client.get(url, headers=await auth_headers())

    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_job_under_way_has_no_outputs_yet(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.start(job_id)
    await world.project()

    answer = await query_client.get(f"/jobs/{job_id}/outputs/a", headers=await auth_headers())

    assert (answer.status_code, answer.json()["code"]) == (409, "RESULT_NOT_READY")
    assert answer.json()["details"] == {"status": "running"}


async def test_a_failed_job_has_no_outputs(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.fail(job_id, "broken")
    await world.project()

    answer = await query_client.get(f"/jobs/{job_id}/outputs/a", headers=await auth_headers())

    assert (answer.status_code, answer.json()["code"]) == (404, "OUTPUT_NOT_FOUND")


async def test_an_unknown_name_and_an_erased_one_are_not_found(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.succeed(job_id, {"a.webp": CONTENT})
    await world.project()
    headers = await auth_headers()

    unknown = await query_client.get(f"/jobs/{job_id}/outputs/b.webp", headers=headers)
    await world.erase(job_id)
    erased = await query_client.get(f"/jobs/{job_id}/outputs/a.webp", headers=headers)
    literally = await query_client.get(f"/jobs/{job_id}/outputs/(erased)", headers=headers)

    codes = [answer.json()["code"] for answer in (unknown, erased, literally)]
    assert codes == ["OUTPUT_NOT_FOUND"] * 3


async def test_expired_outputs_are_gone(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit(retention_seconds=0)
    await world.succeed(job_id, {"a.webp": CONTENT})
    await world.expire_result(job_id)
    await world.project()
    headers = await auth_headers()

    answer = await query_client.get(f"/jobs/{job_id}/outputs/a.webp", headers=headers)
    job = (await query_client.get(f"/jobs/{job_id}", headers=headers)).json()

    assert (answer.status_code, answer.json()["code"]) == (410, "RESULT_EXPIRED")
    assert job["result_expired"] is True
    assert [(file["name"], file["url"]) for file in job["outputs"]] == [("a.webp", None)]


async def test_bytes_that_were_just_deleted_are_expired_and_not_an_error(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit(retention_seconds=0)
    (file,) = await world.succeed(job_id, {"a.webp": CONTENT})
    await world.project()
    await world.blobs.delete(file.blob_key)  # type: ignore[arg-type]

    answer = await query_client.get(f"/jobs/{job_id}/outputs/a.webp", headers=await auth_headers())

    assert (answer.status_code, answer.json()["code"]) == (410, "RESULT_EXPIRED")


async def test_bytes_that_should_be_there_and_are_not_are_our_fault(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    (file,) = await world.succeed(job_id, {"a.webp": CONTENT})
    await world.project()
    await world.blobs.delete(file.blob_key)  # type: ignore[arg-type]

    answer = await query_client.get(f"/jobs/{job_id}/outputs/a.webp", headers=await auth_headers())

    assert (answer.status_code, answer.json()["code"]) == (500, "OUTPUT_UNREADABLE")
    assert file.blob_key not in answer.text


async def test_outputs_of_somebody_else_do_not_exist(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit(await world.user(name="someone"))
    await world.succeed(job_id, {"a.webp": CONTENT})
    await world.project()
    headers = await auth_headers()

    answers = [
        await query_client.get(f"/jobs/{wanted}/outputs/a.webp", headers=headers)
        for wanted in (job_id, uuid4())
    ]

    assert [answer.json()["code"] for answer in answers] == ["JOB_NOT_FOUND"] * 2


async def output_of_new_job(world: World, content: bytes = CONTENT) -> str:
    """The path of the one output of a job that succeeded."""
    job_id = await world.submit()
    await world.succeed(job_id, {"a.webp": content})
    await world.project()
    return f"/jobs/{job_id}/outputs/a.webp"
