"""Uploads over a real uvicorn: what arrives, what is refused, and that nothing is left behind."""

import asyncio
import base64
import hashlib
import http.client
import json
import os
import random
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import Request

from infrastructure.blobs.base import BlobKey
from infrastructure.blobs.disk import DiskBlobStore
from infrastructure.health import Readiness
from infrastructure.http.app import create_api
from infrastructure.http.problems import Problem
from infrastructure.http.uploads import Received, UploadReceiver
from infrastructure.media_types import MediaTypes
from infrastructure.scanner import NoScanner
from infrastructure.settings import UploadSettings
from tests.fixtures.http import served
from tests.fixtures.waiting import eventually

TENANT = "acme"
MIB = 1024 * 1024
UPLOAD_MAX = 4 * MIB
REPLY_SECONDS_MAX = 20.0


@dataclass(frozen=True)
class House:
    """A served application with uploads, and where its blobs lie."""

    url: str
    folder: Path
    blobs: DiskBlobStore

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def files(self) -> list[str]:
        """Every file below the blob folder, finished or not."""
        return [str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file()]


def shown(received: Received) -> dict[str, Any]:
    return {
        "files": [
            {
                "field": file.field,
                "filename": file.filename,
                "media_type": file.media_type,
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
                "key": file.blob_key,
            }
            for file in received.files
        ],
        "fields": dict(received.fields),
    }


@pytest.fixture(scope="module")
def media_types() -> MediaTypes:
    return MediaTypes()


@pytest.fixture
async def house(tmp_path: Path, media_types: MediaTypes) -> AsyncIterator[House]:
    blobs = DiskBlobStore(tmp_path / "blobs")
    settings = UploadSettings(
        _env_file=None,
        max_upload_size=UPLOAD_MAX,
        upload_files_max=3,
        upload_idle_seconds=0.5,
        upload_seconds_max=2.0,
    )
    receiver = UploadReceiver(settings, blobs, NoScanner(), media_types)
    app = create_api(title="t", version="1", description="d", readiness=Readiness())

    @app.post("/multipart")
    async def multipart(request: Request) -> dict[str, Any]:
        return shown(await receiver.multipart(request, TENANT))

    @app.post("/json")
    async def json_base64(request: Request) -> dict[str, Any]:
        return shown(await receiver.json_base64(request, TENANT))

    @app.post("/raw")
    async def raw(request: Request) -> dict[str, Any]:
        return shown(await receiver.raw(request, TENANT, request.headers.get("x-name")))

    @app.post("/refused-later")
    async def refused_later(request: Request, keep: bool = False) -> None:
        async with await receiver.multipart(request, TENANT) as received:
            if keep:
                received.keep()
            raise Problem(422, "BAD_OPTION", "No.")

    async with served(app) as url:
        yield House(url, tmp_path / "blobs", blobs)
    await blobs.close()


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=house.url, timeout=REPLY_SECONDS_MAX) as made:
        yield made


def bytes_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def blob(house: House, key: str) -> bytes:
    return b"".join([block async for block in house.blobs.open(BlobKey(key))])


def assert_problem(reply: httpx.Response, status: int, code: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == code
    assert reply.json()["request_id"] == reply.headers["x-request-id"]


async def until_empty(house: House) -> None:
    """Wait until no file is left; a client cannot see when the server has cleaned up after it."""
    await eventually(lambda: not house.files())


@pytest.mark.parametrize("size", [1, 8_192, MIB, UPLOAD_MAX])
async def test_a_multipart_file_becomes_a_blob(
    house: House, client: httpx.AsyncClient, size: int
) -> None:
    content = bytes_of(size)

    reply = await client.post(
        "/multipart", files={"file": ("a.bin", content)}, data={"options": '{"a": 1}'}
    )

    assert reply.status_code == 200, reply.text
    file = reply.json()["files"][0]
    assert file["size_bytes"] == size
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert reply.json()["fields"] == {"options": '{"a": 1}'}
    assert await blob(house, file["key"]) == content
    assert len(house.files()) == 1


async def test_several_files_keep_their_order(house: House, client: httpx.AsyncClient) -> None:
    parts = [("file", (f"{n}.txt", f"text {n}\n".encode())) for n in range(3)]

    reply = await client.post("/multipart", files=parts)

    assert [f["filename"] for f in reply.json()["files"]] == ["0.txt", "1.txt", "2.txt"]
    assert len(house.files()) == 3


async def test_the_type_comes_from_the_content_not_the_name(client: httpx.AsyncClient) -> None:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"
    parts = [("file", ("really.jpg", png)), ("file", ("photo.jpg", b"only words\n"))]

    reply = await client.post("/multipart", files=parts)

    assert [f["media_type"] for f in reply.json()["files"]] == ["image/png", "text/plain"]


async def test_a_name_is_cleaned(client: httpx.AsyncClient) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; '
        b'filename="../../etc/pass\xe2\x80\xaewd\x07.txt"\r\n\r\nx\r\n--b--\r\n'
    )

    reply = await client.post(
        "/multipart", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
    )

    assert reply.json()["files"][0]["filename"] == "passwd.txt"


async def test_a_raw_body_becomes_a_blob(house: House, client: httpx.AsyncClient) -> None:
    content = bytes_of(UPLOAD_MAX)

    reply = await client.post("/raw", content=content, headers={"x-name": "C:\\photos\\a.bin"})

    file = reply.json()["files"][0]
    assert (file["filename"], file["size_bytes"]) == ("a.bin", UPLOAD_MAX)
    assert await blob(house, file["key"]) == content


@pytest.mark.parametrize("slashes_escaped", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 100_000, UPLOAD_MAX])
async def test_base64_in_json_becomes_a_blob(
    house: House, client: httpx.AsyncClient, size: int, slashes_escaped: bool
) -> None:
    content = bytes_of(size)
    encoded = base64.b64encode(content).decode()
    text = json.dumps({"filename": "a.bin", "file_data": encoded, "options": {"a": [1, "x"]}})
    if slashes_escaped:
        text = text.replace("/", "\\/")

    reply = await client.post("/json", content=text)

    assert reply.status_code == 200, reply.text
    file = reply.json()["files"][0]
    assert (file["filename"], file["size_bytes"]) == ("a.bin", size)
    assert await blob(house, file["key"]) == content
    assert reply.json()["fields"] == {"filename": "a.bin", "options": {"a": [1, "x"]}}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ('{"file_data": "###"}', 422, "INVALID_BASE64"),
        ('{"file_data": "AAA"}', 422, "INVALID_BASE64"),
        ('{"file_data": "AA==AA=="}', 422, "INVALID_BASE64"),
        ('{"file_data": "AAAA\\u0041"}', 422, "INVALID_BASE64"),
        ('{"file_data": ""}', 422, "EMPTY_FILE"),
        ('{"file_data": null}', 422, "MISSING_FILE"),
        ('{"filename": "file_data"}', 422, "MISSING_FILE"),
        ('{"options": {"file_data": "AAAA"}}', 422, "MISSING_FILE"),
        ('{"file_data": "AAAA", "file_data": "AAAA"}', 400, "BAD_JSON"),
        ('{"file_data": "AAAA"', 400, "BAD_JSON"),
        ('{"file_data": "AAAA', 400, "BAD_JSON"),
        ('{"file_data" "AAAA"}', 400, "BAD_JSON"),
        ("[1, 2]", 400, "BAD_JSON"),
        ("", 400, "BAD_JSON"),
        ('{"options": "' + "x" * 70_000 + '"}', 400, "BAD_JSON"),
    ],
)
async def test_bad_base64_requests_are_refused(
    house: House, client: httpx.AsyncClient, body: str, status: int, code: str
) -> None:
    assert_problem(await client.post("/json", content=body), status, code)
    assert house.files() == []


FILE_PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n'
END = b"--b--\r\n"


def field(name: str, value: bytes = b"1") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
    return head + value + b"\r\n"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "BAD_MULTIPART"),
        (b"no boundary at all", 400, "BAD_MULTIPART"),
        (FILE_PART, 400, "BAD_MULTIPART"),
        (FILE_PART * 4 + END, 400, "BAD_MULTIPART"),
        (FILE_PART + field("a") + field("a") + END, 400, "DUPLICATE_FIELD"),
        (b"".join(field(f"f{n}") for n in range(21)) + END, 400, "BAD_MULTIPART"),
        (FILE_PART + field("a", b"x" * 65_537) + END, 400, "BAD_MULTIPART"),
        (FILE_PART + field("a", b"\xff") + END, 400, "BAD_MULTIPART"),
        (FILE_PART + field("n" * 201) + END, 400, "BAD_MULTIPART"),
        (FILE_PART.replace(b"a", b"a" * 20_000) + END, 400, "BAD_MULTIPART"),
        (FILE_PART + b"--b\r\nX: y\r\n\r\nx\r\n" + END, 400, "BAD_MULTIPART"),
        (FILE_PART + b"--b\r\n" + b"X: y\r\n" * 9 + b"\r\nx\r\n" + END, 400, "BAD_MULTIPART"),
        (field("options") + END, 422, "MISSING_FILE"),
        (END, 422, "MISSING_FILE"),
        (FILE_PART + FILE_PART.replace(b"\r\n\r\nx", b"\r\n\r\n") + END, 422, "EMPTY_FILE"),
    ],
    ids=range(15),
)
async def test_bad_multipart_requests_are_refused(
    house: House, client: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}

    reply = await client.post("/multipart", content=body, headers=headers)

    assert_problem(reply, status, code)
    await until_empty(house)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "text/plain", "", "a;b;c="])
async def test_a_body_without_a_boundary_is_refused(
    client: httpx.AsyncClient, content_type: str
) -> None:
    headers = {"content-type": content_type} if content_type else {}

    assert_problem(
        await client.post("/multipart", content=b"x", headers=headers), 400, "BAD_MULTIPART"
    )


async def test_an_honest_length_over_the_limit_is_refused_before_reading(house: House) -> None:
    reader, writer = await asyncio.open_connection(*house.address)
    writer.write(
        b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 4194305\r\nExpect: 100-continue\r\n\r\n"
    )

    async with asyncio.timeout(REPLY_SECONDS_MAX):
        head = await reader.readuntil(b"\r\n\r\n")
        rest = await reader.read()

    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in head
    assert json.loads(rest)["code"] == "FILE_TOO_LARGE"
    writer.close()


async def chunks(count: int, size: int = 65_536) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize("path", ["/raw", "/json"])
async def test_a_chunked_body_over_the_limit_is_refused_in_mid_stream(
    house: House, client: httpx.AsyncClient, path: str
) -> None:
    # Ten times the limit: the client still writes when the refusal is made.
    reply = await client.post(path, content=chunks(640) if path == "/raw" else _base64_flood())

    assert_problem(reply, 413, "FILE_TOO_LARGE")
    await until_empty(house)


async def _base64_flood() -> AsyncIterator[bytes]:
    yield b'{"file_data": "'
    async for chunk in chunks(640):
        yield chunk.replace(b"x", b"A")


async def test_files_together_are_bounded(house: House, client: httpx.AsyncClient) -> None:
    half = bytes_of(UPLOAD_MAX // 2)
    parts = [("file", ("a", half)), ("file", ("b", half)), ("file", ("c", b"x"))]

    reply = await client.post("/multipart", files=parts)

    assert_problem(reply, 413, "FILE_TOO_LARGE")
    await until_empty(house)


def post_blocking(house: House, body: Any, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Post as the standard library does: the whole body first, then the answer."""
    connection = http.client.HTTPConnection(*house.address, timeout=REPLY_SECONDS_MAX)
    try:
        connection.request("POST", "/raw", body=body, headers=headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


@pytest.mark.parametrize("size", [UPLOAD_MAX + 1, 40 * MIB])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_client_that_writes_everything_first_sees_the_413(
    house: House, size: int, is_chunked: bool
) -> None:
    body = (b"x" * 65_536 for _ in range(1 + size // 65_536)) if is_chunked else b"x" * size

    status, problem = await asyncio.to_thread(post_blocking, house, body, {})

    assert (status, problem["code"]) == (413, "FILE_TOO_LARGE")
    await until_empty(house)


async def curl(house: House, *arguments: str) -> str:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    process = await asyncio.create_subprocess_exec(
        program,
        *("-sS", "-o", "-", "-w", "\n%{http_code}", "--max-time", "20"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-H", "Expect:"),
        ("-H", "Transfer-Encoding: chunked"),
        ("-H", "Transfer-Encoding: chunked", "-H", "Expect:"),
    ],
    ids=["expect", "plain", "chunked-expect", "chunked"],
)
async def test_curl_sees_the_413(house: House, tmp_path: Path, options: tuple[str, ...]) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"x" * (10 * UPLOAD_MAX))

    raw = await curl(house, *options, "--data-binary", f"@{big}", f"{house.url}/raw")
    form = await curl(house, *options, "-F", f"file=@{big}", f"{house.url}/multipart")

    for answer in (raw, form):
        body, status = answer.rsplit("\n", 1)
        assert status == "413"
        assert json.loads(body)["code"] == "FILE_TOO_LARGE"
    await until_empty(house)


async def test_a_raw_socket_sees_the_413_and_then_the_end(house: House) -> None:
    reader, writer = await asyncio.open_connection(*house.address)
    writer.write(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n")
    for _ in range(5):
        writer.write(b"x" * 1_000_000)
        await writer.drain()

    async with asyncio.timeout(REPLY_SECONDS_MAX):
        reply = await reader.read()

    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["code"] == "FILE_TOO_LARGE"
    writer.close()


async def test_an_upload_that_stalls_is_given_up(house: House) -> None:
    reader, writer = await asyncio.open_connection(*house.address)
    writer.write(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this")

    async with asyncio.timeout(REPLY_SECONDS_MAX):
        reply = await reader.read()

    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b'"UPLOAD_TIMEOUT"' in reply
    assert house.files() == []
    writer.close()


async def test_an_upload_that_trickles_is_given_up(house: House) -> None:
    reader, writer = await asyncio.open_connection(*house.address)
    writer.write(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")

    async def trickle() -> None:
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.1)

    trickling = asyncio.create_task(trickle())
    async with asyncio.timeout(REPLY_SECONDS_MAX):
        head = await reader.readuntil(b"\r\n\r\n")
    trickling.cancel()
    await asyncio.gather(trickling, return_exceptions=True)

    assert head.startswith(b"HTTP/1.1 408 ")
    assert house.files() == []
    writer.close()


@pytest.mark.parametrize("sent", [100, 3 * MIB])
async def test_a_client_that_goes_away_leaves_nothing(house: House, sent: int) -> None:
    _, writer = await asyncio.open_connection(*house.address)
    writer.write(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n")
    writer.write(b"x" * sent)
    await writer.drain()
    if sent > MIB:
        await eventually(lambda: bool(house.files()))

    writer.transport.abort()

    await until_empty(house)


async def test_what_is_refused_after_its_receipt_leaves_nothing(
    house: House, client: httpx.AsyncClient
) -> None:
    files = {"file": ("a", b"content")}

    assert_problem(await client.post("/refused-later", files=files), 422, "BAD_OPTION")
    assert house.files() == []

    await client.post("/refused-later?keep=true", files=files)
    assert len(house.files()) == 1


async def test_many_uploads_at_once_stay_apart(house: House, client: httpx.AsyncClient) -> None:
    contents = [bytes_of(1 + n * 40_000) for n in range(25)]

    replies = await asyncio.gather(
        *(client.post("/multipart", files={"file": ("a", content)}) for content in contents)
    )

    for reply, content in zip(replies, contents, strict=True):
        assert await blob(house, reply.json()["files"][0]["key"]) == content


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
async def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, media_types: MediaTypes
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = await asyncio.create_subprocess_exec(
        *("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small))
    )
    if await mount.wait() != 0:
        pytest.skip("mounting is not allowed here")
    blobs = DiskBlobStore(small / "blobs")
    try:
        settings = UploadSettings(_env_file=None, max_upload_size=UPLOAD_MAX)
        receiver = UploadReceiver(settings, blobs, NoScanner(), media_types)
        app = create_api(title="t", version="1", description="d", readiness=Readiness())

        @app.post("/raw")
        async def raw(request: Request) -> None:
            await receiver.raw(request, TENANT, None)

        filler = small / "filler"
        filler.write_bytes(b"x" * (MIB + MIB // 2))
        async with served(app) as url, httpx.AsyncClient(base_url=url) as client:
            # The first fails when its only block is written, the second in mid-stream.
            for size in (MIB - 1, 3 * MIB):
                reply = await client.post("/raw", content=bytes_of(size))
                assert_problem(reply, 507, "INSUFFICIENT_STORAGE")
                assert [p for p in small.rglob("*") if p.is_file()] == [filler]
            filler.unlink()
            assert (await client.post("/raw", content=bytes_of(MIB))).status_code == 200
    finally:
        await blobs.close()
        unmount = await asyncio.create_subprocess_exec("umount", str(small))
        await unmount.wait()
