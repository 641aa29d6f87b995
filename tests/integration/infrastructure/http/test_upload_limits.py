"""Uploads that are too long, too slow, broken off or without room: seen refused, nothing left."""

import asyncio
import http.client
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request

from infrastructure.blobs.base import BLOCK_BYTES
from infrastructure.blobs.disk import DiskBlobStore
from infrastructure.health import Readiness
from infrastructure.http import uploads
from infrastructure.http.app import create_api
from infrastructure.http.uploads import UploadReceiver
from infrastructure.media_types import MediaTypes
from infrastructure.scanner import NoScanner
from infrastructure.settings import UploadSettings
from tests.fixtures.http import served
from tests.fixtures.waiting import eventually
from tests.integration.infrastructure.http.upload_house import (
    MIB,
    REPLY_SECONDS_MAX,
    TENANT,
    UPLOAD_MAX,
    UPLOADS_AT_ONCE_MAX,
    House,
    assert_problem,
    bytes_of,
    until_empty,
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
    house: House, upload_client: httpx.AsyncClient, path: str
) -> None:
    # Ten times the limit: the client still writes when the refusal is made.
    reply = await upload_client.post(
        path, content=chunks(640) if path == "/raw" else _base64_flood()
    )

    assert_problem(reply, 413, "FILE_TOO_LARGE")
    await until_empty(house)


async def _base64_flood() -> AsyncIterator[bytes]:
    yield b'{"file_data": "'
    async for chunk in chunks(640):
        yield chunk.replace(b"x", b"A")


async def test_files_together_are_bounded(house: House, upload_client: httpx.AsyncClient) -> None:
    half = bytes_of(UPLOAD_MAX // 2)
    parts = [("file", ("a", half)), ("file", ("b", half)), ("file", ("c", b"x"))]

    reply = await upload_client.post("/multipart", files=parts)

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
        *("-sS", "-o", "-", "-w", "\n%{http_code}", "--max-time", "60"),
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


async def test_an_upload_that_stalls_is_given_up(house_of_short_pauses: House) -> None:
    house = house_of_short_pauses
    reader, writer = await asyncio.open_connection(*house.address)
    writer.write(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this")

    async with asyncio.timeout(REPLY_SECONDS_MAX):
        reply = await reader.read()

    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b'"UPLOAD_TIMEOUT"' in reply
    assert house.files() == []
    writer.close()


async def test_one_client_has_so_many_uploads_under_way_and_no_more(
    house: House, upload_client: httpx.AsyncClient
) -> None:
    head = b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    # Less than a block would not be seen on the disk.
    begun = head + b"x" * 2 * BLOCK_BYTES
    writers = []
    for _ in range(UPLOADS_AT_ONCE_MAX):
        _, writer = await asyncio.open_connection(*house.address)
        writer.write(begun)
        writers.append(writer)
    await eventually(lambda: len(house.files()) == UPLOADS_AT_ONCE_MAX)

    one_more = await upload_client.post("/raw", content=b"mine")
    another = await upload_client.post("/raw", content=b"theirs", headers={"x-client": "user:2"})

    assert_problem(one_more, 429, "TOO_MANY_UPLOADS")
    assert int(one_more.headers["Retry-After"]) > 0
    assert another.status_code == 200
    for writer in writers:
        writer.close()
    await eventually(lambda: len(house.files()) == 1)
    again = await upload_client.post("/raw", content=b"mine")
    assert again.status_code == 200


async def trickle(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


async def test_an_upload_that_trickles_is_given_up(house_of_short_uploads: House) -> None:
    house = house_of_short_uploads
    reader, writer = await asyncio.open_connection(*house.address)
    writer.write(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")

    trickling = asyncio.create_task(trickle(writer))
    async with asyncio.timeout(REPLY_SECONDS_MAX):
        head = await reader.readuntil(b"\r\n\r\n")
    trickling.cancel()
    await asyncio.gather(trickling, return_exceptions=True)

    assert head.startswith(b"HTTP/1.1 408 ")
    assert house.files() == []
    writer.close()


async def test_an_upload_slower_than_the_least_rate_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "GRACE_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection(*house.address)
    writer.write(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    trickling = asyncio.create_task(trickle(writer))

    async with asyncio.timeout(REPLY_SECONDS_MAX):
        head = await reader.readuntil(b"\r\n\r\n")

    trickling.cancel()
    await asyncio.gather(trickling, return_exceptions=True)
    assert head.startswith(b"HTTP/1.1 408 ")
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
            await receiver.raw(request, TENANT, "user:1", None)

        filler = small / "filler"
        filler.write_bytes(b"x" * (MIB + MIB // 2))
        async with (
            served(app) as url,
            httpx.AsyncClient(base_url=url, timeout=REPLY_SECONDS_MAX) as client,
        ):
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
