"""`/tools/{tool}/process`: files in, a receipt or the outcome out, nothing left of a refusal."""

import asyncio
import base64
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from events.contracts.values import JobStatus
from infrastructure.blobs.base import BlobKey
from tests.factories.files import photo_jpeg
from tests.fixtures.command_api import QUERY_URL, UPLOAD_BYTES_MAX, CommandApi
from tests.fixtures.waiting import eventually

Headers = dict[str, str]

PHOTO = photo_jpeg(64, 48)
CONVERT = "/tools/image-converter/process"
NO_OP = "/tools/no-op/process"


def part(content: bytes = PHOTO, name: str = "holiday.jpg") -> dict[str, tuple[str, bytes]]:
    """One file as httpx sends it."""
    return {"file": (name, content)}


async def test_a_photo_and_no_options_are_a_valid_request(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    answer = await client.post(CONVERT, files=part(), headers=auth_headers)

    assert answer.status_code == 202, answer.text
    receipt = answer.json()
    assert receipt["task_id"] == receipt["job_id"]
    assert receipt["status"] == "queued"
    assert receipt["result_url"] is None
    assert answer.headers["X-Event-Position"] == str(receipt["position"])
    assert answer.headers["Location"] == f"{QUERY_URL}/api/v1/jobs/{receipt['job_id']}"
    (file,) = (await api.job(receipt["job_id"])).inputs
    seal = await api.seal(UUID(receipt["job_id"]))
    assert seal.open("name", file.name) == "holiday.jpg"
    assert (file.media_type, file.size_bytes) == ("image/jpeg", len(PHOTO))
    stored = b"".join([block async for block in api.blobs.open(BlobKey(file.blob_key))])
    assert stored == PHOTO


async def test_base64_in_json_is_the_same_as_multipart(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    body = {
        "file_data": base64.b64encode(PHOTO).decode(),
        "filename": "holiday.jpg",
        "options": {"output_format": "png"},
    }

    answer = await client.post(CONVERT, json=body, headers=auth_headers)

    assert answer.status_code == 202, answer.text
    job = await api.job(answer.json()["job_id"])
    seal = await api.seal(job.id)
    assert seal.open("name", job.inputs[0].name) == "holiday.jpg"
    assert job.inputs[0].size_bytes == len(PHOTO)
    assert orjson.loads(seal.open("options", job.options)) == {"output_format": "png"}


@pytest.mark.parametrize(
    "request_body",
    [
        {"json": {"options": {"quality": 5}}},
        {"json": {"file_data": None}},
        {"files": {"options": (None, '{"quality": 5}')}},
    ],
    ids=["json", "null", "multipart"],
)
async def test_a_tool_that_needs_no_file_is_asked_without_one(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers, request_body: dict[str, Any]
) -> None:
    answer = await client.post(NO_OP, headers=auth_headers, **request_body)

    assert answer.status_code == 202, answer.text
    assert not (await api.job(answer.json()["job_id"])).inputs


async def test_several_files_keep_their_order(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    files = [("file", (f"{n}.txt", f"file {n}".encode())) for n in range(4)]

    answer = await client.post(NO_OP, files=files, headers=auth_headers)

    assert answer.status_code == 202, answer.text
    job = await api.job(answer.json()["job_id"])
    seal = await api.seal(job.id)
    assert [seal.open("name", file.name) for file in job.inputs] == [f"{n}.txt" for n in range(4)]


async def test_the_type_counts_that_the_content_shows_and_not_the_name(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    text = await client.post(CONVERT, files=part(b"only text", "photo.jpg"), headers=auth_headers)
    photo = await client.post(CONVERT, files=part(PHOTO, "photo.txt"), headers=auth_headers)

    assert (text.status_code, text.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert text.json()["details"] == {"media_type": "text/plain", "accepted": ["image/*"]}
    assert photo.status_code == 202


@pytest.mark.parametrize(
    ("path", "request_body", "status", "code"),
    [
        ("/tools/none/process", {"files": part()}, 404, "TOOL_NOT_FOUND"),
        ("/tools/ocr/process", {"files": part()}, 409, "TOOL_UNAVAILABLE"),
        (CONVERT, {"files": part(b"")}, 422, "EMPTY_FILE"),
        (CONVERT, {"files": {"other": ("a", b"b")}}, 422, "MISSING_FILE"),
        (
            CONVERT,
            {"files": [("file", ("a", PHOTO)), ("file", ("b", PHOTO))]},
            422,
            "INVALID_INPUTS",
        ),
        (CONVERT, {"files": part(), "data": {"options": "[]"}}, 422, "VALIDATION_ERROR"),
        (CONVERT, {"files": part(), "data": {"options": "{"}}, 422, "VALIDATION_ERROR"),
        (CONVERT, {"files": part(), "data": {"queue": "fast"}}, 422, "VALIDATION_ERROR"),
        (CONVERT, {"files": part(), "data": {"options": '{"x":1}'}}, 422, "INVALID_OPTIONS"),
        (CONVERT, {"json": {"file_data": "!!!"}}, 422, "INVALID_BASE64"),
        (CONVERT, {"json": {"filename": "a.jpg"}}, 422, "MISSING_FILE"),
        (CONVERT, {"json": {"file_data": "AAAA", "more": 1}}, 422, "VALIDATION_ERROR"),
        (CONVERT, {"json": {"file_data": "AAAA", "options": [1]}}, 422, "VALIDATION_ERROR"),
        (CONVERT, {"content": b"bytes"}, 415, "UNSUPPORTED_CONTENT_TYPE"),
        (CONVERT, {"files": part(b"x" * (UPLOAD_BYTES_MAX + 1))}, 413, "FILE_TOO_LARGE"),
        (
            CONVERT,
            {"json": {"file_data": base64.b64encode(b"x" * 3_000_000).decode()}},
            413,
            "FILE_TOO_LARGE",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" not in value else "",
)
async def test_a_refused_request_leaves_no_file_and_no_event(
    api: CommandApi,
    client: httpx.AsyncClient,
    auth_headers: Headers,
    path: str,
    request_body: dict[str, Any],
    status: int,
    code: str,
) -> None:
    head, files = await api.log.head(), api.blob_files()

    answer = await client.post(path, headers=auth_headers, **request_body)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert api.blob_files() == files
    assert await api.log.head() == head


async def test_an_auditor_is_refused_before_the_file_is_read(
    api: CommandApi, client: httpx.AsyncClient
) -> None:
    files = api.blob_files()

    answer = await client.post(CONVERT, files=part(), headers=api.headers("otto"))

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert api.blob_files() == files


async def test_who_waits_gets_the_outputs(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    start = await api.log.head()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(
            client.post(CONVERT, files=part(), headers=auth_headers | {"Prefer": "wait=30"})
        )
        job_id = await api.next_job(start)
        await api.succeed(job_id, {"holiday photo.webp": b"pixels"}, notes=["It was turned."])

    answer = waiting.result()
    assert answer.status_code == 200, answer.text
    assert answer.headers["Preference-Applied"] == "wait=30"
    outcome = answer.json()
    assert (outcome["job_id"], outcome["status"]) == (str(job_id), "succeeded")
    (output,) = outcome["outputs"]
    assert (output["name"], output["size_bytes"]) == ("holiday photo.webp", 6)
    assert outcome["notes"] == ["It was turned."]
    url = f"{QUERY_URL}/api/v1/jobs/{job_id}/outputs/holiday%20photo.webp"
    assert output["url"] == outcome["result_url"] == url
    assert outcome["position"] == await api.log.head()
    assert answer.headers["X-Event-Position"] == str(outcome["position"])


async def test_who_waits_for_a_tool_that_fails_gets_its_error(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    start = await api.log.head()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(
            client.post(CONVERT, files=part(), headers=auth_headers | {"Prefer": "wait=30"})
        )
        job_id = await api.next_job(start)
        await api.fail(job_id, "CORRUPT_FILE", "The file is cut short.")

    answer = waiting.result()
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "CORRUPT_FILE")
    assert problem["message"] == "The file is cut short."
    assert problem["details"]["job_id"] == str(job_id)


async def test_a_failure_that_is_tried_again_does_not_end_the_wait(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    start = await api.log.head()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(
            client.post(CONVERT, files=part(), headers=auth_headers | {"Prefer": "wait=30"})
        )
        job_id = await api.next_job(start)
        await api.fail(job_id, "TOOL_CRASHED", "Again, please.", permanent=False)
        assert (await api.job(job_id)).status is JobStatus.RETRYING
        await client.post(f"/jobs/{job_id}/cancel", headers=auth_headers)
        await api.publish(job_id, await api.log.head())

    answer = waiting.result()
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


async def test_who_waits_in_vain_gets_a_receipt(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    headers = auth_headers | {"Prefer": "respond-async, wait=1"}

    answer = await client.post(CONVERT, files=part(), headers=headers)

    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["Preference-Applied"] == "wait=1"


async def test_a_client_that_leaves_in_mid_upload_leaves_nothing(
    api: CommandApi, auth_headers: Headers
) -> None:
    files = api.blob_files()
    host, port = api.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    lines = [
        f"POST /api/v1{CONVERT} HTTP/1.1",
        "Host: test",
        f"Authorization: {auth_headers['Authorization']}",
        "Content-Type: multipart/form-data; boundary=cut",
        "Content-Length: 1500000",
        "",
        '--cut\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"',
        "",
        "",
    ]
    writer.write("\r\n".join(lines).encode() + b"x" * 1_200_000)
    await writer.drain()
    await eventually(lambda: api.blob_files() != files)

    writer.close()
    await writer.wait_closed()

    await eventually(lambda: api.blob_files() == files)


async def test_who_waits_when_the_process_ends_gets_a_receipt(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    endings = api.app.state.resources.endings
    start = await api.log.head()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(
            client.post(CONVERT, files=part(), headers=auth_headers | {"Prefer": "wait=30"})
        )
        job_id = await api.next_job(start)
        endings.release()

    endings._is_released = False
    answer = waiting.result()
    assert (answer.status_code, answer.json()["job_id"]) == (202, str(job_id))
