"""`/uploads`: one file, kept for 24 hours."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from events.domain.upload import Upload
from tests.factories.files import photo_jpeg
from tests.fixtures.command_api import UPLOAD_BYTES_MAX, CommandApi

Headers = dict[str, str]

PHOTO = photo_jpeg(64, 48)
RAW = {"Content-Type": "image/jpeg"}


@pytest.mark.parametrize(
    "request_parts",
    [
        {"files": {"file": ("holiday.jpg", PHOTO)}},
        {"json": {"file_data": base64.b64encode(PHOTO).decode(), "filename": "holiday.jpg"}},
        {"content": PHOTO, "params": {"filename": "holiday.jpg"}, "headers": RAW},
    ],
    ids=["multipart", "base64", "raw"],
)
async def test_a_file_is_kept_however_it_is_sent(
    api: CommandApi,
    client: httpx.AsyncClient,
    auth_headers: Headers,
    request_parts: dict[str, Any],
) -> None:
    headers = auth_headers | request_parts.get("headers", {})

    answer = await client.post("/uploads", **(request_parts | {"headers": headers}))

    assert answer.status_code == 201, answer.text
    received = answer.json()
    assert received["sha256"] == hashlib.sha256(PHOTO).hexdigest()
    assert received["size_bytes"] == len(PHOTO)
    assert (received["media_type"], received["filename"]) == ("image/jpeg", "holiday.jpg")
    upload = await api.repository.load(Upload, UUID(received["upload_id"]))
    assert (upload.tenant, upload.owner) == ("acme", f"user:{api.users['alice'].id}")
    left = upload.expires_at - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    assert int(answer.headers["X-Event-Position"]) == await api.log.head()


@pytest.mark.parametrize(
    ("request_parts", "status", "code"),
    [
        ({"files": [("file", ("a", b"1")), ("file", ("b", b"2"))]}, 422, "ONE_FILE_EXPECTED"),
        ({"files": {"file": ("a", b"")}}, 422, "EMPTY_FILE"),
        ({"content": b"x" * (UPLOAD_BYTES_MAX + 1), "headers": RAW}, 413, "FILE_TOO_LARGE"),
        ({"content": b"{}", "headers": {"Content-Type": "application/json"}}, 422, "MISSING_FILE"),
        (
            {"content": b"a", "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "BAD_MULTIPART",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_not_one_good_file_is_refused_and_leaves_nothing(
    api: CommandApi,
    client: httpx.AsyncClient,
    auth_headers: Headers,
    request_parts: dict[str, Any],
    status: int,
    code: str,
) -> None:
    head, files = await api.log.head(), api.blob_files()
    headers = auth_headers | request_parts.get("headers", {})

    answer = await client.post("/uploads", **(request_parts | {"headers": headers}))

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert api.blob_files() == files
    assert await api.log.head() == head


async def test_a_chunked_body_without_a_length_is_cut_off_at_the_limit(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    files = api.blob_files()

    async def endless() -> Any:
        for _ in range(100):
            yield b"x" * 100_000

    answer = await client.post("/uploads", content=endless(), headers=auth_headers | RAW)

    assert (answer.status_code, answer.json()["code"]) == (413, "FILE_TOO_LARGE")
    assert api.blob_files() == files
