"""Uploads over a real uvicorn: what arrives, in which form, and under which name."""

import asyncio
import base64
import hashlib
import json

import httpx
import pytest

from tests.integration.infrastructure.http.upload_house import (
    MIB,
    UPLOAD_MAX,
    House,
    assert_problem,
    blob,
    bytes_of,
)


@pytest.mark.parametrize("size", [1, 8_192, MIB, UPLOAD_MAX])
async def test_a_multipart_file_becomes_a_blob(
    house: House, upload_client: httpx.AsyncClient, size: int
) -> None:
    content = bytes_of(size)

    reply = await upload_client.post(
        "/multipart", files={"file": ("a.bin", content)}, data={"options": '{"a": 1}'}
    )

    assert reply.status_code == 200, reply.text
    file = reply.json()["files"][0]
    assert file["size_bytes"] == size
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert reply.json()["fields"] == {"options": '{"a": 1}'}
    assert await blob(house, file["key"]) == content
    assert len(house.files()) == 1


async def test_several_files_keep_their_order(
    house: House, upload_client: httpx.AsyncClient
) -> None:
    parts = [("file", (f"{n}.txt", f"text {n}\n".encode())) for n in range(3)]

    reply = await upload_client.post("/multipart", files=parts)

    assert [f["filename"] for f in reply.json()["files"]] == ["0.txt", "1.txt", "2.txt"]
    assert len(house.files()) == 3


async def test_the_type_comes_from_the_content_not_the_name(
    upload_client: httpx.AsyncClient,
) -> None:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"
    parts = [("file", ("really.jpg", png)), ("file", ("photo.jpg", b"only words\n"))]

    reply = await upload_client.post("/multipart", files=parts)

    assert [f["media_type"] for f in reply.json()["files"]] == ["image/png", "text/plain"]


async def test_a_name_is_cleaned(upload_client: httpx.AsyncClient) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; '
        b'filename="../../etc/pass\xe2\x80\xaewd\x07.txt"\r\n\r\nx\r\n--b--\r\n'
    )

    reply = await upload_client.post(
        "/multipart", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
    )

    assert reply.json()["files"][0]["filename"] == "passwd.txt"


async def test_a_raw_body_becomes_a_blob(house: House, upload_client: httpx.AsyncClient) -> None:
    content = bytes_of(UPLOAD_MAX)

    reply = await upload_client.post(
        "/raw", content=content, headers={"x-name": "C:\\photos\\a.bin"}
    )

    file = reply.json()["files"][0]
    assert (file["filename"], file["size_bytes"]) == ("a.bin", UPLOAD_MAX)
    assert await blob(house, file["key"]) == content


@pytest.mark.parametrize("slashes_escaped", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 100_000, UPLOAD_MAX])
async def test_base64_in_json_becomes_a_blob(
    house: House, upload_client: httpx.AsyncClient, size: int, slashes_escaped: bool
) -> None:
    content = bytes_of(size)
    encoded = base64.b64encode(content).decode()
    text = json.dumps({"filename": "a.bin", "file_data": encoded, "options": {"a": [1, "x"]}})
    if slashes_escaped:
        text = text.replace("/", "\\/")

    reply = await upload_client.post("/json", content=text)

    assert reply.status_code == 200, reply.text
    file = reply.json()["files"][0]
    assert (file["filename"], file["size_bytes"]) == ("a.bin", size)
    assert await blob(house, file["key"]) == content
    assert reply.json()["fields"] == {"filename": "a.bin", "options": {"a": [1, "x"]}}


async def test_what_is_refused_after_its_receipt_leaves_nothing(
    house: House, upload_client: httpx.AsyncClient
) -> None:
    files = {"file": ("a", b"content")}

    assert_problem(await upload_client.post("/refused-later", files=files), 422, "BAD_OPTION")
    assert house.files() == []

    await upload_client.post("/refused-later?keep=true", files=files)
    assert len(house.files()) == 1


async def test_many_uploads_at_once_stay_apart(
    house: House, upload_client: httpx.AsyncClient
) -> None:
    contents = [bytes_of(1 + n * 40_000) for n in range(25)]

    replies = await asyncio.gather(
        *(upload_client.post("/multipart", files={"file": ("a", content)}) for content in contents)
    )

    for reply, content in zip(replies, contents, strict=True):
        assert await blob(house, reply.json()["files"][0]["key"]) == content
