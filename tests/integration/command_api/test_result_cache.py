"""The same request gets the earlier result, at once and as a job of its own; or runs anew."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from events.contracts.job import JobSubmitted, ResultReused
from events.contracts.values import JobStatus
from events.store.codec import Codec
from infrastructure.blobs.base import BlobKey
from tests.fixtures.command_api import CommandApi, becomes, offer, worker_origin

Headers = dict[str, str]
TOOL = "cached"
RENAMING = "renaming"
CONTENT = b"the same bytes"


@pytest.fixture(scope="module", autouse=True)
async def _tools(api: CommandApi) -> None:
    await api.introduce(TOOL, offer(cacheable=True))
    await api.introduce(RENAMING, offer(cacheable=True, names_matter=False))
    await api.introduce("moody", offer(cacheable=False))


async def process(
    client: httpx.AsyncClient,
    headers: Headers,
    content: bytes = CONTENT,
    *,
    tool: str = TOOL,
    name: str = "photo.jpg",
    wait: bool = False,
    **fields: Any,
) -> httpx.Response:
    answer = await client.post(
        f"/tools/{tool}/process",
        files={"file": (name, content)},
        data=fields,
        headers=headers | ({"Prefer": "wait=10"} if wait else {}),
    )
    assert answer.status_code in (200, 202), answer.text
    return answer


async def made(
    api: CommandApi, client: httpx.AsyncClient, headers: Headers, content: bytes, **more: Any
) -> UUID:
    """A job that ran and left an output."""
    answer = await process(client, headers, content, **more)
    assert answer.json()["status"] == "queued", "it was expected to run"
    job_id = UUID(answer.json()["job_id"])
    await api.succeed(job_id, {"photo.webp": b"made of " + content})
    return job_id


async def facts_of(api: CommandApi, job_id: UUID) -> list[Any]:
    return [Codec().decode_row(row).fact for row in await api.log.read_stream(job_id)]


async def test_the_same_request_succeeds_at_once_as_a_job_of_its_own(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    source = await made(api, client, auth_headers, b"one")

    answer = await process(client, auth_headers, b"one", wait=True)

    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["outputs"][0]["name"]) == ("succeeded", "photo.webp")
    job_id = UUID(body["job_id"])
    assert job_id != source
    submitted, reused = await facts_of(api, job_id)
    assert isinstance(submitted, JobSubmitted)
    assert isinstance(reused, ResultReused)
    assert (reused.source, reused.command_id) == (str(source), submitted.command_id)
    job, maker = await api.job(job_id), await api.job(source)
    assert job.outputs[0].sha256 == maker.outputs[0].sha256
    assert job.outputs[0].blob_key != maker.outputs[0].blob_key
    # The copy outlives the original.
    await api.blobs.delete(BlobKey(maker.outputs[0].blob_key))
    key = BlobKey(job.outputs[0].blob_key)
    assert b"".join([block async for block in api.blobs.open(key)]) == b"made of one"


async def test_without_a_wish_to_wait_the_receipt_says_that_it_is_done(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    await made(api, client, auth_headers, b"receipt")

    answer = await process(client, auth_headers, b"receipt")

    assert (answer.status_code, answer.json()["status"]) == (202, "succeeded")
    assert answer.json()["result_url"] == answer.json()["outputs"][0]["url"]


@pytest.mark.parametrize(
    ("more", "who"),
    [
        ({"cache": "false"}, "alice"),
        ({"options": '{"quality": 7}'}, "alice"),
        ({"name": "other.jpg"}, "alice"),
        ({"delay_seconds": "60"}, "alice"),
        ({}, "gina"),
    ],
    ids=["opted out", "other options", "other name", "for later", "other tenant"],
)
async def test_what_is_not_the_same_request_runs(
    api: CommandApi,
    client: httpx.AsyncClient,
    auth_headers: Headers,
    more: dict[str, Any],
    who: str,
) -> None:
    content = b"not the same" + repr((more, who)).encode()
    await made(api, client, auth_headers, content)

    answer = await process(client, api.headers(who), content, **more)

    assert answer.json()["status"] in ("queued", "scheduled")


async def test_other_bytes_run_and_another_owner_of_the_tenant_does_not(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    await made(api, client, auth_headers, b"owned")

    other = await process(client, auth_headers, b"owned!")
    bob = await process(client, api.headers("bob"), b"owned")

    assert (other.json()["status"], bob.json()["status"]) == ("queued", "succeeded")
    job = await api.job(bob.json()["job_id"])
    assert job.owner == f"user:{api.users['bob'].id}"


async def test_a_newer_version_of_the_tool_runs(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    await api.introduce("growing", offer(cacheable=True))
    await made(api, client, auth_headers, b"grown", tool="growing")
    await api.offer_again("growing", offer(cacheable=True, version="1.0.1"))
    catalogue = api.app.state.resources.catalogue

    async def is_known() -> bool:
        return bool((await catalogue.offer("growing")).offer.version == "1.0.1")

    await becomes(is_known)
    answer = await process(client, auth_headers, b"grown", tool="growing")

    assert answer.json()["status"] == "queued"


async def test_what_another_version_made_is_not_filed_under_the_one_asked_for(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    first = await process(client, auth_headers, b"pinned")
    await api.succeed(UUID(first.json()["job_id"]), {"photo.webp": b"older"}, version="0.9.0")

    again = await process(client, auth_headers, b"pinned")
    assert again.json()["status"] == "queued"
    await api.succeed(UUID(again.json()["job_id"]), {"photo.webp": b"as asked"})
    third = await process(client, auth_headers, b"pinned")

    assert third.json()["status"] == "succeeded"


async def test_a_tool_that_gives_other_results_each_time_runs(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    head = await api.log.head()
    await made(api, client, auth_headers, b"mood", tool="moody")

    answer = await process(client, auth_headers, b"mood", tool="moody")

    assert answer.json()["status"] == "queued"
    assert not any("result." in row.topic for row in await api.log.read_after(head))


@pytest.mark.parametrize("why", ["running", "failed", "cancelled", "expired", "erased", "gone"])
async def test_a_result_that_is_not_there_is_made(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers, why: str
) -> None:
    content = f"not there: {why}".encode()
    first = UUID((await process(client, auth_headers, content)).json()["job_id"])
    if why == "failed":
        await api.fail(first, "BAD_FILE", "no")
    elif why == "cancelled":
        await client.post(f"/jobs/{first}/cancel", headers=auth_headers)
    elif why != "running":
        await api.succeed(first, {"photo.webp": b"made"})
    if why == "erased":
        connection = await asyncpg.connect(api.settings.dsn)
        await connection.execute("DELETE FROM keys.subject_keys WHERE subject_id = $1", first)
        await connection.close()
    if why == "gone":
        await api.blobs.delete(BlobKey((await api.job(first)).outputs[0].blob_key))
    if why == "expired":
        await expire(api, first)

    second = UUID((await process(client, auth_headers, content)).json()["job_id"])

    assert (await api.job(second)).status is JobStatus.QUEUED
    if why != "running":
        await api.succeed(second, {"photo.webp": b"made"})
        third = await process(client, auth_headers, content)
        assert third.json()["status"] == "succeeded", "the newer result is known now"


async def test_many_at_once_all_run_or_reuse_and_none_is_refused(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    answers = await asyncio.gather(*(process(client, auth_headers, b"at once") for _ in range(20)))

    assert {answer.json()["status"] for answer in answers} == {"queued"}
    assert len({answer.json()["job_id"] for answer in answers}) == 20


async def test_outputs_are_called_after_the_new_input(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    await made(api, client, auth_headers, b"renamed", tool=RENAMING)

    bob = await process(
        client, api.headers("bob"), b"renamed", tool=RENAMING, name="my cat.jpg", wait=True
    )

    assert [output["name"] for output in bob.json()["outputs"]] == ["my cat.webp"]


async def test_a_name_that_does_not_come_from_the_input_is_not_shown_to_another(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    answer = await process(client, auth_headers, b"named", tool=RENAMING)
    await api.succeed(UUID(answer.json()["job_id"]), {"page of photo.png": b"made"})

    other = await process(client, auth_headers, b"named", tool=RENAMING, name="cat.jpg")

    assert other.json()["status"] == "queued"


async def test_the_notes_come_along_unless_they_quote_the_name_of_another(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    async def again(content: bytes, note: str) -> dict[str, Any]:
        """What somebody else gets for the same bytes under another name."""
        first = await process(client, auth_headers, content, tool=RENAMING)
        job_id = UUID(first.json()["job_id"])
        await api.succeed(job_id, {"photo.webp": b"made"}, notes=[note])
        headers = api.headers("bob")
        answer = await process(client, headers, content, tool=RENAMING, name="cat.jpg")
        outcome: dict[str, Any] = answer.json()
        return outcome

    plain = await again(b"noted", "The first of two was taken.")
    quoting = await again(b"quoted", "Of photo.jpg the first was taken.")

    assert (plain["status"], plain["notes"]) == ("succeeded", ["The first of two was taken."])
    assert (await api.job(plain["job_id"])).notes is not None
    assert quoting["status"] == "queued"


async def test_a_secret_is_never_looked_up_by(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    options = '{"password": "correct horse battery"}'
    head = await api.log.head()
    await made(api, client, auth_headers, b"secret", options=options)

    answer = await process(client, auth_headers, b"secret", options=options)

    assert answer.json()["status"] == "queued"
    assert not any("result." in row.topic for row in await api.log.read_after(head))


async def test_a_refused_reuse_leaves_no_files(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    await made(api, client, auth_headers, b"unique")
    unique = '{"key": "reuse"}'
    await process(client, auth_headers, b"holder", unique=unique)
    before = api.blob_files()

    answer = await process(client, auth_headers, b"unique", unique=unique)

    assert answer.json()["is_duplicate"]
    assert api.blob_files() == before


async def expire(api: CommandApi, job_id: UUID) -> None:
    """Years go by."""
    job = await api.job(job_id)
    assert job.expires_at is not None
    job.expire_result(replace(worker_origin("acme"), at=job.expires_at + timedelta(days=1)))
    await api.repository.save(job)
