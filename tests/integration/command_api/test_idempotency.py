"""`Idempotency-Key`: a request that is sent again leads to what the first one led to."""

import asyncio
from typing import Any

import httpx
import pytest

from infrastructure.blobs.base import BlobKey
from tests.factories.files import photo_jpeg
from tests.fixtures.command_api import CommandApi

Headers = dict[str, str]

PHOTO = photo_jpeg(64, 48)
CONVERT = "/tools/image-converter/process"


def keyed(headers: Headers, key: str) -> Headers:
    """The headers with a key."""
    return headers | {"Idempotency-Key": key}


async def test_a_repeat_gets_the_first_answer_and_makes_no_second_job(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    headers = keyed(auth_headers, "order-1")
    first = await client.post("/jobs", json={"tool": "no-op"}, headers=headers)
    await client.post(f"/jobs/{first.json()['job_id']}/cancel", headers=auth_headers)
    head = await api.log.head()

    repeat = await client.post("/jobs", json={"tool": "no-op"}, headers=headers)

    assert "Idempotency-Replayed" not in first.headers
    assert repeat.headers["Idempotency-Replayed"] == "true"
    assert (repeat.status_code, repeat.json()) == (202, first.json())
    assert repeat.headers["X-Event-Position"] == first.headers["X-Event-Position"]
    assert await api.log.head() == head


@pytest.mark.parametrize(
    "other",
    [
        {"tool": "no-op", "options": {"quality": 2}},
        {"tool": "no-op", "queue": "fast"},
        {"tool": "no-op", "priority": 1},
        {"tool": "no-op", "run_at": "2030-01-01T00:00:00Z"},
        {"tool": "no-op", "labels": {"a": "b"}},
    ],
    ids=lambda body: list(body)[-1],
)
async def test_another_request_under_the_same_key_is_a_conflict(
    client: httpx.AsyncClient, auth_headers: Headers, other: dict[str, Any]
) -> None:
    headers = keyed(auth_headers, f"conflict-{list(other)[-1]}")
    await client.post("/jobs", json={"tool": "no-op"}, headers=headers)

    answer = await client.post("/jobs", json=other, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_CONFLICT")


async def test_the_order_of_options_makes_no_other_request(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    headers = keyed(auth_headers | {"Content-Type": "application/json"}, "order-of-options")
    bodies = [
        b'{"tool":"no-op","options":{"quality":1,"output_format":"png"}}',
        b'{"options":{"output_format":"png",  "quality":1}, "tool":"no-op"}',
    ]

    first, second = [await client.post("/jobs", content=b, headers=headers) for b in bodies]

    assert first.json()["job_id"] == second.json()["job_id"]


async def test_the_same_key_of_somebody_else_is_another_key(
    api: CommandApi, client: httpx.AsyncClient
) -> None:
    answers = [
        await client.post("/jobs", json={"tool": "no-op"}, headers=keyed(api.headers(name), "mine"))
        for name in ("alice", "bob", "gina")
    ]

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["job_id"] for answer in answers}) == 3


async def test_of_many_at_the_same_moment_one_job_comes(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    head = await api.log.head()
    headers = keyed(auth_headers, "together")

    answers = await asyncio.gather(
        *(client.post("/jobs", json={"tool": "no-op"}, headers=headers) for _ in range(8))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert len({answer.json()["position"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert await api.log.head() == head + 1


async def test_the_files_of_a_repeat_are_deleted(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    headers = keyed(auth_headers, "photo-1")
    first = await client.post(CONVERT, files={"file": ("a.jpg", PHOTO)}, headers=headers)
    files = api.blob_files()

    # Another name is still the same request: what counts are the bytes.
    repeat = await client.post(CONVERT, files={"file": ("b.jpg", PHOTO)}, headers=headers)

    assert repeat.json() == first.json()
    assert api.blob_files() == files


async def test_other_bytes_under_the_same_key_are_a_conflict_and_leave_nothing(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    headers = keyed(auth_headers, "photo-2")
    await client.post(CONVERT, files={"file": ("a.jpg", PHOTO)}, headers=headers)
    files = api.blob_files()

    other = {"file": ("a.jpg", photo_jpeg(65, 48))}
    answer = await client.post(CONVERT, files=other, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_CONFLICT")
    assert api.blob_files() == files


async def test_a_repeat_is_recognized_though_its_upload_is_used_up(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    upload = await client.post("/uploads", files={"file": ("a", b"text")}, headers=auth_headers)
    body = {"tool": "no-op", "inputs": [{"upload_id": upload.json()["upload_id"]}]}
    headers = keyed(auth_headers, "upload-1")
    before = api.blob_files()
    first = await client.post("/jobs", json=body, headers=headers)
    (key,) = {file.blob_key for file in (await api.job(first.json()["job_id"])).inputs}
    for name in before:
        for path in api.blob_folder.rglob(name):
            path.unlink()

    repeat = await client.post("/jobs", json=body, headers=headers)
    another = await client.post("/jobs", json=body, headers=auth_headers)

    assert repeat.json() == first.json()
    assert (another.status_code, another.json()["code"]) == (404, "UPLOAD_NOT_FOUND")
    assert await api.blobs.size(BlobKey(key)) == 4


async def test_who_repeats_and_waits_gets_the_outcome(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    headers = keyed(auth_headers, "waits")
    first = await client.post(CONVERT, files={"file": ("a.jpg", PHOTO)}, headers=headers)
    job = await api.job(first.json()["job_id"])
    await api.succeed(job.id, {"a.webp": b"pixels"})

    repeat = await client.post(
        CONVERT, files={"file": ("a.jpg", PHOTO)}, headers=headers | {"Prefer": "wait=5"}
    )

    assert (repeat.status_code, repeat.json()["status"]) == (200, "succeeded")
    assert repeat.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "t\tab"])
async def test_a_key_that_cannot_be_is_refused(
    client: httpx.AsyncClient, auth_headers: Headers, key: str
) -> None:
    for path, request in (
        ("/jobs", {"json": {"tool": "no-op"}}),
        (CONVERT, {"files": {"file": ("a.jpg", PHOTO)}}),
    ):
        answer = await client.post(path, headers=keyed(auth_headers, key), **request)

        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
        assert answer.json()["details"][0]["field"].lower().endswith("idempotency-key")
