"""What the scanner makes of servers that misbehave; real sockets, no clamd needed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import Request

from infrastructure.blobs.disk import DiskBlobStore
from infrastructure.health import Check, CheckFailed, Readiness
from infrastructure.http.app import create_api
from infrastructure.http.uploads import UploadReceiver
from infrastructure.media_types import MediaTypes
from infrastructure.scanner import (
    BadScannerAddress,
    ClamdScanner,
    Kind,
    NoScanner,
    ScannerUnavailable,
    Verdict,
    scanner_at,
)
from infrastructure.settings import UploadSettings
from tests.fixtures.http import served

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NOBODY = ClamdScanner(host="127.0.0.1", port=1)
PATIENCE_SECONDS = 30.0
IMPATIENCE_SECONDS = 0.3


@asynccontextmanager
async def server(
    behaviour: Behaviour, seconds_max: float = PATIENCE_SECONDS
) -> AsyncIterator[ClamdScanner]:
    """A scanner that talks to a server of that behaviour."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield ClamdScanner(host="127.0.0.1", port=port, verdict_seconds_max=seconds_max)
    finally:
        listening.close()


async def read_stream(reader: asyncio.StreamReader) -> bytes:
    """Read an INSTREAM to its end, as clamd does."""
    assert await reader.readexactly(10) == b"zINSTREAM\0"
    content = b""
    while length := int.from_bytes(await reader.readexactly(4), "big"):
        content += await reader.readexactly(length)
    return content


def answering(reply: bytes) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_stream(reader)
        writer.write(reply)
        await writer.drain()

    return behave


async def ask(scanner: ClamdScanner, content: bytes = b"content") -> Verdict:
    scan = await scanner.scan()
    try:
        await scan.send(content)
        return await scan.verdict()
    finally:
        await scan.close()


async def test_only_a_clear_ok_is_clean() -> None:
    async with server(answering(b"stream: OK\0")) as scanner:
        assert await ask(scanner) == Verdict(Kind.CLEAN)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\0",
        b"OK\0",
        b"stream: OK",
        b"stream: OK \0",
        b"stream: ok\0",
        b"stream: OK\nstream: X FOUND\0",
        b"stream:  FOUND\0",
        b"stream: X\x1b[0m FOUND\0",
        b"INSTREAM size limit exceeded. ERROR\0",
        b"stream: Can't allocate memory ERROR\0",
        b"UNKNOWN COMMAND\0",
        b"\xff\xfe\0",
        b"stream: OK" + b" " * 10_000 + b"\0",
    ],
)
async def test_any_other_answer_is_no_verdict(reply: bytes) -> None:
    async with server(answering(reply)) as scanner:
        with pytest.raises(ScannerUnavailable):
            await ask(scanner)


async def test_what_was_found_is_named() -> None:
    async with server(answering(b"stream: Win.Test.EICAR_HDB-1 FOUND\0")) as scanner:
        assert await ask(scanner) == Verdict(Kind.INFECTED, "Win.Test.EICAR_HDB-1")


async def test_silence_is_no_verdict() -> None:
    async def behave(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_stream(reader)
        await reader.read()

    async with (
        server(behave, IMPATIENCE_SECONDS) as scanner,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        with pytest.raises(ScannerUnavailable):
            await ask(scanner)


async def test_an_answer_given_before_the_end_is_read() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)
        writer.write(b"stream: Early.Signature FOUND\0")
        await writer.drain()
        await reader.read(1_000)

    async with server(behave) as scanner:
        verdict = await ask(scanner, b"x" * 5_000_000)

    assert verdict == Verdict(Kind.INFECTED, "Early.Signature")


async def test_a_connection_that_breaks_is_no_verdict() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)
        writer.transport.abort()

    async with server(behave) as scanner:
        with pytest.raises(ScannerUnavailable):
            await ask(scanner, b"x" * 5_000_000)


async def test_a_scanner_that_is_not_there_cannot_begin() -> None:
    with pytest.raises(ScannerUnavailable):
        await NOBODY.scan()
    with pytest.raises(ScannerUnavailable):
        await ClamdScanner(path="/nowhere/clamd.sock").scan()
    with pytest.raises(CheckFailed, match="unreachable"):
        await NOBODY.check()


async def test_something_else_on_the_port_is_not_ready() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(6)
        writer.write(b"HELLO\0")
        await writer.drain()

    async with server(behave) as scanner:
        with pytest.raises(CheckFailed, match="unexpected"):
            await scanner.check()


@pytest.mark.parametrize(
    ("url", "scanner"),
    [
        ("tcp://clamd:3310", ClamdScanner(host="clamd", port=3310)),
        ("tcp://[::1]:3310", ClamdScanner(host="::1", port=3310)),
        ("unix:///run/clamd.sock", ClamdScanner(path="/run/clamd.sock")),
    ],
)
def test_an_address_names_a_scanner(url: str, scanner: ClamdScanner) -> None:
    assert scanner_at(url) == scanner


@pytest.mark.parametrize("url", ["", "clamd", "http://x:1", "tcp://x", "unix://x", "tcp://:3310"])
def test_another_address_is_refused_at_start(url: str) -> None:
    with pytest.raises(BadScannerAddress):
        scanner_at(url)


async def test_without_an_address_nothing_is_scanned_and_readiness_says_so() -> None:
    scanner = scanner_at(None)
    report = await Readiness({"scanner": Check(scanner.check)}).report()

    assert isinstance(scanner, NoScanner)
    assert (report.is_ready, report.outcomes["scanner"].detail) == (True, "off")
    assert await (await scanner.scan()).verdict() == Verdict(Kind.NOT_SCANNED)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_without_a_scanners_word_nothing_is_received(tmp_path: Path) -> None:
    blobs = DiskBlobStore(tmp_path / "blobs")
    receiver = UploadReceiver(UploadSettings(_env_file=None), blobs, NOBODY, MediaTypes())
    app = create_api(title="t", version="1", description="d", readiness=Readiness())

    @app.post("/raw")
    async def raw(request: Request) -> None:
        await receiver.raw(request, "acme", "user:1", None)

    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS) as client,
    ):
        reply = await client.post("/raw", content=b"x" * 3_000_000)
    await blobs.close()

    assert (reply.status_code, reply.json()["code"]) == (503, "SCANNER_UNAVAILABLE")
    assert reply.headers["retry-after"] == "10"
    assert files_below(tmp_path) == []
