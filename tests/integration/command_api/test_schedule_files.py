"""Files of schedules: taken from uploads and results, owned by the schedule, named by its jobs."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from events.domain.schedule import Schedule
from infrastructure.blobs.base import BlobKey
from tests.fixtures.command_api import CommandApi

Headers = dict[str, str]
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 32


async def uploaded(client: httpx.AsyncClient, headers: Headers, content: bytes = b"text") -> str:
    """The id of a new upload."""
    answer = await client.post("/uploads", files={"file": ("ä.txt", content)}, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["upload_id"])


def body(*inputs: dict[str, str], tool: str = "no-op", **job: Any) -> dict[str, Any]:
    template = {"tool": tool, "inputs": list(inputs), **job}
    return {"name": "Every hour", "cron": "0 * * * *", "job": template}


async def created(client: httpx.AsyncClient, headers: Headers, wanted: dict[str, Any]) -> UUID:
    answer = await client.post("/schedules", json=wanted, headers=headers)
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["schedule_id"])


async def keys_of(api: CommandApi, schedule_id: UUID) -> list[str]:
    schedule = await api.repository.load(Schedule, schedule_id)
    return [file.blob_key for file in schedule.template.inputs]


async def bytes_of(api: CommandApi, key: str) -> bytes:
    return b"".join([block async for block in api.blobs.open(BlobKey(key))])


async def test_a_schedule_has_copies_of_its_files_and_its_jobs_name_them(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    upload_id = await uploaded(client, auth_headers)
    source = (await client.post("/jobs", json={"tool": "no-op"}, headers=auth_headers)).json()
    await api.succeed(UUID(source["job_id"]), {"made.webp": b"made"})
    given = [{"upload_id": upload_id}, {"job_id": source["job_id"], "output": "made.webp"}]
    before = api.blob_files()

    schedule_id = await created(client, auth_headers, body(*given))
    fired = await client.post(f"/schedules/{schedule_id}/fire", headers=auth_headers)

    keys = await keys_of(api, schedule_id)
    assert {key.partition("/")[2] for key in keys} == api.blob_files() - before
    assert [await bytes_of(api, key) for key in keys] == [b"text", b"made"]
    (row,) = await api.log.read_stream(schedule_id, up_to=1)
    assert "ä.txt".encode() not in row.state
    assert fired.status_code == 202, fired.text
    job = await api.job(fired.json()["job_id"])
    seal = await api.seal(job.id)
    assert [seal.open("name", file.name) for file in job.inputs] == ["ä.txt", "made.webp"]
    assert [file.blob_key for file in job.inputs] == keys


async def test_a_change_keeps_the_files_unless_it_names_others(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    first = {"upload_id": await uploaded(client, auth_headers)}
    schedule_id = await created(client, auth_headers, body(first))
    url, kept = f"/schedules/{schedule_id}", await keys_of(api, schedule_id)

    async def change(**changes: Any) -> list[str]:
        answer = await client.patch(url, json=changes, headers=auth_headers)
        assert answer.status_code == 200, answer.text
        return await keys_of(api, schedule_id)

    assert await change(cron="30 * * * *") == kept
    assert await change(job={"tool": "no-op", "options": {"quality": 3}}) == kept
    other = {"upload_id": await uploaded(client, auth_headers, b"other")}
    (key,) = await change(job={"tool": "no-op", "inputs": [other]})
    assert await bytes_of(api, key) == b"other"
    assert await change(job={"tool": "no-op", "inputs": []}) == []


@pytest.mark.parametrize(
    ("tool", "status", "code"),
    [("image-converter", 415, "UNSUPPORTED_MEDIA_TYPE"), ("pdf-merger", 422, "INVALID_INPUTS")],
)
async def test_files_that_the_tool_does_not_take_are_refused_and_leave_nothing(
    api: CommandApi,
    client: httpx.AsyncClient,
    auth_headers: Headers,
    tool: str,
    status: int,
    code: str,
) -> None:
    upload = {"upload_id": await uploaded(client, auth_headers)}
    picture = {"upload_id": await uploaded(client, auth_headers, PNG)}
    schedule_id = await created(client, auth_headers, body(upload))
    head, blobs = await api.log.head(), api.blob_files()

    answers = [
        await client.post("/schedules", json=body(upload, tool=tool), headers=auth_headers),
        await client.patch(
            f"/schedules/{schedule_id}", json={"job": {"tool": tool}}, headers=auth_headers
        ),
        await client.patch(
            f"/schedules/{schedule_id}",
            json={"cron": "0 0 30 2 *", "job": {"tool": "no-op", "inputs": [picture]}},
            headers=auth_headers,
        ),
    ]

    assert [answer.status_code for answer in answers] == [status, status, 422], answers[2].text
    assert [answer.json()["code"] for answer in answers] == [code, code, "INVALID_SCHEDULE"]
    assert (await api.log.head(), api.blob_files()) == (head, blobs)


async def test_the_upload_of_somebody_else_is_not_found(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    upload = {"upload_id": await uploaded(client, auth_headers)}
    head, blobs = await api.log.head(), api.blob_files()

    answers = [
        await client.post("/schedules", json=body(upload), headers=api.headers(name))
        for name in ("bob", "gina")
    ]
    unknown = body({"upload_id": str(uuid4())})
    answers.append(await client.post("/schedules", json=unknown, headers=auth_headers))

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["code"] for answer in answers} == {"UPLOAD_NOT_FOUND"}
    assert (await api.log.head(), api.blob_files()) == (head, blobs)


async def test_a_repeated_request_is_known_by_the_bytes_of_its_files(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    first, again, other = [
        body({"upload_id": await uploaded(client, auth_headers, content)})
        for content in (b"one", b"one", b"two")
    ]
    headers = auth_headers | {"Idempotency-Key": "files"}

    answers = [
        await client.post("/schedules", json=each, headers=headers)
        for each in (first, again, other)
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 422]
    assert answers[1].json()["schedule_id"] == answers[0].json()["schedule_id"]
    assert answers[1].headers["Idempotency-Replayed"] == "true"
