"""`/jobs`: what is accepted, what is refused, and what the log says afterwards."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest

from events.contracts.job import JobCancelled, JobReopened, JobSubmitted
from events.contracts.subjects import cancel_subject
from events.contracts.values import JobStatus
from events.store.codec import Codec
from infrastructure.blobs.base import BlobKey
from tests.fixtures.command_api import QUERY_URL, CommandApi, offer

Headers = dict[str, str]


async def submitted(client: httpx.AsyncClient, headers: Headers, **body: Any) -> UUID:
    """A job of the no-op tool."""
    answer = await client.post("/jobs", json={"tool": "no-op", **body}, headers=headers)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["job_id"])


async def facts_of(api: CommandApi, job_id: UUID) -> list[Any]:
    """The job's history."""
    return [Codec().decode_row(row).fact for row in await api.log.read_stream(job_id)]


async def uploaded(client: httpx.AsyncClient, headers: Headers, content: bytes = b"text") -> str:
    """The id of a new upload."""
    answer = await client.post("/uploads", files={"file": ("a.txt", content)}, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["upload_id"])


async def test_a_job_is_accepted_and_stands_in_the_log(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    answer = await client.post("/jobs", json={"tool": "no-op"}, headers=auth_headers)

    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    job = await api.job(accepted["job_id"])
    assert job.status is JobStatus.QUEUED
    assert job.owner == f"user:{api.users['alice'].id}"
    assert job.tool_version == "1.0.0"
    assert answer.headers["X-Event-Position"] == str(accepted["position"])
    assert answer.headers["Location"] == f"{QUERY_URL}/api/v1/jobs/{accepted['job_id']}"
    assert accepted["links"]["cancel"].endswith(f"/jobs/{accepted['job_id']}/cancel")


async def test_options_and_labels_are_sealed_and_the_request_id_is_the_correlation(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    headers = auth_headers | {"X-Request-ID": "walk-1"}
    job_id = await submitted(
        client, headers, options={"quality": 3}, labels={"customer": "Ärzte"}, priority=5
    )

    rows = await api.log.read_stream(job_id)
    (fact,) = await facts_of(api, job_id)
    assert isinstance(fact, JobSubmitted)
    seal = await api.seal(job_id)
    assert orjson.loads(seal.open("options", fact.options)) == {"quality": 3}
    assert fact.labels is not None
    assert orjson.loads(seal.open("labels", fact.labels)) == {"customer": "Ärzte"}
    assert b"customer" not in rows[0].state
    assert len(fact.label_tokens) == 1
    assert (fact.correlation_id, fact.causation_id) == ("walk-1", "walk-1")
    assert (fact.tenant, fact.priority) == ("acme", 5)
    assert (fact.attempts_max, fact.timeout_seconds) == (3, 30.0)


async def test_a_job_with_a_time_is_scheduled(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    run_at = datetime.now(UTC) + timedelta(hours=1)

    job_id = await submitted(client, auth_headers, run_at=run_at.isoformat())

    job = await api.job(job_id)
    assert job.status is JobStatus.SCHEDULED
    assert job.due_at == run_at


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tool": "no-op", "surprise": 1}, "surprise"),
        ({"tool": "no-op", "webhook_url": "https://example.org"}, "webhook_url"),
        ({"tool": "no-op", "tenant": "globex"}, "tenant"),
        ({}, "tool"),
        ({"tool": "no-op", "queue": "Not A Queue"}, "queue"),
        ({"tool": "no-op", "queue": "a.b"}, "queue"),
        ({"tool": "no-op", "priority": 101}, "priority"),
        ({"tool": "no-op", "priority": "5"}, "priority"),
        ({"tool": "no-op", "run_at": "2030-01-01T00:00:00"}, "run_at"),
        ({"tool": "no-op", "labels": {"a": "x" * 257}}, "labels.a"),
        ({"tool": "no-op", "labels": {f"l{n}": "" for n in range(17)}}, "labels"),
        ({"tool": "no-op", "inputs": [{"upload_id": "no"}]}, "inputs.0.UploadInputBody.upload_id"),
        ({"tool": "no-op", "options": {"a": 1e999}}, "body"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_body_that_does_not_fit_is_refused_with_its_field(
    client: httpx.AsyncClient, auth_headers: Headers, body: dict[str, Any], field: str
) -> None:
    content = orjson.dumps(body).replace(b'"a":null', b'"a":1e999')
    headers = auth_headers | {"Content-Type": "application/json"}

    answer = await client.post("/jobs", content=content, headers=headers)

    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["code"] in {"VALIDATION_ERROR", "INVALID_OPTIONS"}
    fields = [detail["field"] for detail in problem["details"]]
    assert field in fields or field == "body", fields


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 50_000, b'{"tool":"no-op"', b"\xff", b"null"]
)
async def test_broken_json_is_refused_and_never_a_server_error(
    client: httpx.AsyncClient, auth_headers: Headers, content: bytes
) -> None:
    headers = auth_headers | {"Content-Type": "application/json"}

    answer = await client.post("/jobs", content=content, headers=headers)

    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "VALIDATION_ERROR"


async def test_a_body_of_another_type_or_beyond_a_megabyte_is_refused(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    text = await client.post("/jobs", content=b'{"tool":"no-op"}', headers=auth_headers)
    huge = {"tool": "no-op", "options": {"password": "x" * 1_100_000}}
    large = await client.post("/jobs", json=huge, headers=auth_headers)

    assert (text.status_code, text.json()["code"]) == (415, "UNSUPPORTED_CONTENT_TYPE")
    assert (large.status_code, large.json()["code"]) == (413, "BODY_TOO_LARGE")


async def test_options_too_deep_are_refused(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    options: dict[str, Any] = {}
    for _ in range(30):
        options = {"a": options}

    answer = await client.post(
        "/jobs", json={"tool": "no-op", "options": options}, headers=auth_headers
    )

    assert answer.status_code == 422
    assert answer.json()["details"][0]["field"] == "options"


async def test_a_bad_option_is_refused_with_its_name_but_not_its_value(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    body = {"tool": "no-op", "options": {"quality": 500, "colour": 1, "password": "hunter2"}}

    answer = await client.post("/jobs", json=body, headers=auth_headers)

    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "INVALID_OPTIONS"
    assert {detail["field"] for detail in problem["details"]} == {"quality", "colour", "password"}
    assert "hunter2" not in answer.text


async def test_an_option_that_json_cannot_carry_is_refused(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    content = b'{"tool":"no-op","options":{"quality":' + b"9" * 30 + b"}}"
    headers = auth_headers | {"Content-Type": "application/json"}

    answer = await client.post("/jobs", content=content, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_OPTIONS")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"tool": "image-convertor"}, 404, "TOOL_NOT_FOUND"),
        ({"tool": "../../etc"}, 404, "TOOL_NOT_FOUND"),
        ({"tool": "ocr"}, 409, "TOOL_UNAVAILABLE"),
        ({"tool": "image-converter"}, 422, "INVALID_INPUTS"),
        ({"tool": "no-op", "inputs": [{"upload_id": str(uuid4())}]}, 404, "UPLOAD_NOT_FOUND"),
        (
            {"tool": "no-op", "inputs": [{"job_id": str(uuid4()), "output": "a"}]},
            404,
            "JOB_NOT_FOUND",
        ),
        ({"tool": "no-op", "run_at": "2999-01-01T00:00:00Z"}, 422, "RUN_AT_TOO_FAR"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_the_rules_refuse_has_a_code_and_leaves_no_event(
    api: CommandApi,
    client: httpx.AsyncClient,
    auth_headers: Headers,
    body: dict[str, Any],
    status: int,
    code: str,
) -> None:
    head, files = await api.log.head(), api.blob_files()

    answer = await client.post("/jobs", json=body, headers=auth_headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await api.log.head() == head
    assert api.blob_files() == files


async def test_an_unavailable_tool_says_what_is_missing(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    answer = await client.post("/jobs", json={"tool": "ocr"}, headers=auth_headers)

    assert answer.json()["message"] == "not installed: tesseract"


async def test_an_upload_becomes_an_input_with_a_blob_of_its_own(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    upload_id = await uploaded(client, auth_headers, b"some text")
    inputs = [{"upload_id": upload_id}, {"upload_id": upload_id}]

    job_id = await submitted(client, auth_headers, inputs=inputs)

    files = (await api.job(job_id)).inputs
    seal = await api.seal(job_id)
    assert [seal.open("name", file.name) for file in files] == ["a.txt", "a.txt"]
    assert len({file.blob_key for file in files}) == 2
    for file in files:
        content = b"".join([block async for block in api.blobs.open(BlobKey(file.blob_key))])
        assert content == b"some text"


async def test_the_upload_of_somebody_else_is_not_found(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    upload_id = await uploaded(client, auth_headers)
    body = {"tool": "no-op", "inputs": [{"upload_id": upload_id}]}

    answers = [
        await client.post("/jobs", json=body, headers=api.headers(name))
        for name in ("bob", "olga", "gina")
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["code"] for answer in answers} == {"UPLOAD_NOT_FOUND"}


async def test_an_output_becomes_an_input_until_it_expires(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    first = await submitted(client, auth_headers)
    await api.succeed(first, {"out.webp": b"pixels"})
    inputs = [{"job_id": str(first), "output": "out.webp"}]

    second = await submitted(client, auth_headers, inputs=inputs)

    (file,) = (await api.job(second)).inputs
    assert (await api.seal(second)).open("name", file.name) == "out.webp"
    assert file.blob_key != (await api.job(first)).outputs[0].blob_key
    await api.blobs.delete(BlobKey((await api.job(first)).outputs[0].blob_key))
    gone = await client.post(
        "/jobs", json={"tool": "no-op", "inputs": inputs}, headers=auth_headers
    )
    assert (gone.status_code, gone.json()["code"]) == (410, "RESULT_EXPIRED")


async def test_an_output_that_the_job_does_not_have_is_not_found(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    job_id = await submitted(client, auth_headers)
    body = {"tool": "no-op", "inputs": [{"job_id": str(job_id), "output": "out"}]}

    own = await client.post("/jobs", json=body, headers=auth_headers)
    others = await client.post("/jobs", json=body, headers=api.headers("bob"))

    assert (own.status_code, own.json()["code"]) == (404, "OUTPUT_NOT_FOUND")
    assert (others.status_code, others.json()["code"]) == (404, "JOB_NOT_FOUND")


async def test_cancel_ends_the_job_and_rings_its_worker(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    job_id = await submitted(client, auth_headers)
    broker = api.app.state.resources.broker
    heard = await broker.client.subscribe(cancel_subject(str(job_id)))
    await broker.client.flush()

    answer = await client.post(f"/jobs/{job_id}/cancel", headers=auth_headers)

    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "cancelled"
    assert (await api.job(job_id)).status is JobStatus.CANCELLED
    await heard.next_msg(timeout=30)
    first, last = await facts_of(api, job_id)
    assert isinstance(last, JobCancelled)
    assert last.correlation_id == first.correlation_id
    assert last.causation_id == answer.headers["X-Request-ID"]


async def test_a_job_that_has_ended_cannot_be_cancelled(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    job_id = await submitted(client, auth_headers)
    await client.post(f"/jobs/{job_id}/cancel", headers=auth_headers)

    answer = await client.post(f"/jobs/{job_id}/cancel", headers=auth_headers)

    assert answer.status_code == 409
    assert answer.json()["code"] == "JOB_IS_FINAL"
    assert answer.json()["details"] == {"status": "cancelled"}


async def test_retry_queues_a_failed_job_again(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    job_id = await submitted(client, auth_headers)
    await api.fail(job_id, "CORRUPT_FILE", "It is cut short.")

    answer = await client.post(f"/jobs/{job_id}/retry", headers=auth_headers)

    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "queued"
    assert isinstance((await facts_of(api, job_id))[-1], JobReopened)


async def test_retry_of_a_job_that_has_not_ended_or_has_succeeded_is_refused(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    job_id = await submitted(client, auth_headers)

    early = await client.post(f"/jobs/{job_id}/retry", headers=auth_headers)
    await api.succeed(job_id, {})
    late = await client.post(f"/jobs/{job_id}/retry", headers=auth_headers)

    assert (early.status_code, early.json()["code"]) == (409, "JOB_IS_NOT_FINAL")
    assert (late.status_code, late.json()["code"]) == (409, "JOB_IS_FINAL")
    assert late.json()["details"] == {"status": "succeeded"}


@pytest.mark.parametrize("verb", ["cancel", "retry"])
async def test_a_job_that_never_was_or_is_no_job_is_not_found(
    client: httpx.AsyncClient, auth_headers: Headers, verb: str
) -> None:
    upload_id = await uploaded(client, auth_headers)

    unknown = await client.post(f"/jobs/{uuid4()}/{verb}", headers=auth_headers)
    upload = await client.post(f"/jobs/{upload_id}/{verb}", headers=auth_headers)
    garbled = await client.post(f"/jobs/none/{verb}", headers=auth_headers)

    assert (unknown.status_code, unknown.json()["code"]) == (404, "JOB_NOT_FOUND")
    assert (upload.status_code, upload.json()["code"]) == (404, "JOB_NOT_FOUND")
    assert garbled.status_code == 422


async def test_a_new_offer_counts_as_soon_as_it_is_told(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    await api.introduce("changing", offer(version="1"))
    body = {"tool": "changing"}
    first = await client.post("/jobs", json=body, headers=auth_headers)

    await api.offer_again("changing", offer(version="2"))
    second = await client.post("/jobs", json=body, headers=auth_headers)

    assert (await api.job(first.json()["job_id"])).tool_version == "1"
    assert (await api.job(second.json()["job_id"])).tool_version == "2"
