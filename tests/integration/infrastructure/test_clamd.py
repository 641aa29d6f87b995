"""The scanner against a real clamd, and uploads that pass through it."""

import asyncio
import io
import random
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import Request

from infrastructure.blobs.disk import DiskBlobStore
from infrastructure.health import Readiness
from infrastructure.http.app import create_api
from infrastructure.http.uploads import UploadReceiver
from infrastructure.media_types import MediaTypes
from infrastructure.scanner import ClamdScanner, Kind, Scanner, ScannerUnavailable, Verdict
from infrastructure.settings import UploadSettings
from tests.fixtures.clamd import MARKER, STREAM_BYTES_MAX, eicar, running_clamd
from tests.fixtures.http import served

pytestmark = pytest.mark.debian


@pytest.fixture(scope="module")
async def clamd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ClamdScanner]:
    # A Unix socket's path may have about a hundred characters.
    async with running_clamd(tmp_path_factory.mktemp("clamd")) as scanner:
        yield scanner


async def ask(scanner: Scanner, content: bytes, chunk: int = 65_536) -> Verdict:
    scan = await scanner.scan()
    try:
        for at in range(0, len(content), chunk):
            await scan.send(content[at : at + chunk])
        return await scan.verdict()
    finally:
        await scan.close()


def zipped(content: bytes, depth: int = 1) -> bytes:
    for _ in range(depth):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("inside", content)
        content = out.getvalue()
    return content


def marked_encrypted(archive: bytes) -> bytes:
    """With the flag that says so, before the file and in the directory."""
    plain = archive.replace(b"PK\x03\x04\x14\0\0\0", b"PK\x03\x04\x14\0\1\0")
    return plain.replace(b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\1\0")


@pytest.mark.parametrize("size", [0, 1, 100_000, STREAM_BYTES_MAX])
async def test_a_clean_file_is_clean(clamd: ClamdScanner, size: int) -> None:
    content = random.Random(size).randbytes(size)

    assert await ask(clamd, content) == Verdict(Kind.CLEAN)


@pytest.mark.parametrize("chunk", [1, 7, 65_536, 10**7])
async def test_malware_is_found_however_it_is_cut(clamd: ClamdScanner, chunk: int) -> None:
    verdict = await ask(clamd, eicar(), chunk)

    assert verdict.kind is Kind.INFECTED
    assert verdict.signature is not None
    assert verdict.signature.startswith("Eicar")


@pytest.mark.parametrize(
    "content", [zipped(eicar()), zipped(eicar(), 5), b"text " * 300_000 + MARKER]
)
async def test_malware_is_found_inside(clamd: ClamdScanner, content: bytes) -> None:
    assert (await ask(clamd, content)).kind is Kind.INFECTED


async def test_what_is_nested_too_deep_is_not_clean(clamd: ClamdScanner) -> None:
    verdict = await ask(clamd, zipped(b"harmless", 15))

    assert verdict.kind is Kind.INFECTED
    assert (verdict.signature or "").startswith("Heuristics.Limits")


@pytest.mark.parametrize("size", [STREAM_BYTES_MAX + 1, 20 * STREAM_BYTES_MAX])
async def test_more_than_clamd_takes_is_not_clean(clamd: ClamdScanner, size: int) -> None:
    async with asyncio.timeout(60):
        with pytest.raises(ScannerUnavailable):
            await ask(clamd, b"x" * size)


async def test_a_running_clamd_is_ready(clamd: ClamdScanner) -> None:
    assert await clamd.check() is None


async def test_many_files_at_once_get_their_own_verdicts(clamd: ClamdScanner) -> None:
    contents = [eicar() if n % 3 == 0 else b"harmless %d" % n for n in range(30)]

    verdicts = await asyncio.gather(*(ask(clamd, content) for content in contents))

    assert [v.kind is Kind.INFECTED for v in verdicts] == [n % 3 == 0 for n in range(30)]


@pytest.fixture
async def uploads(clamd: ClamdScanner, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    blobs = DiskBlobStore(tmp_path / "blobs")
    receiver = UploadReceiver(UploadSettings(_env_file=None), blobs, clamd, MediaTypes())
    app = create_api(title="t", version="1", description="d", readiness=Readiness())

    @app.post("/multipart")
    async def multipart(request: Request) -> int:
        return len((await receiver.multipart(request, "acme", "user:1")).files)

    async with served(app) as url, httpx.AsyncClient(base_url=url, timeout=60.0) as client:
        yield client
    await blobs.close()


def files_below(folder: Path) -> list[Path]:
    return [path for path in (folder / "blobs").rglob("*") if path.is_file()]


async def test_clean_files_are_received(uploads: httpx.AsyncClient, tmp_path: Path) -> None:
    reply = await uploads.post("/multipart", files=[("file", b"one"), ("file", b"two")])

    assert reply.json() == 2
    assert len(files_below(tmp_path)) == 2


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (eicar(), 422, "MALWARE_DETECTED"),
        (b"x" * 1_500_000 + MARKER, 422, "MALWARE_DETECTED"),
        (zipped(b"harmless", 15), 422, "SCAN_LIMITS_EXCEEDED"),
        (marked_encrypted(zipped(b"harmless")), 422, "ENCRYPTED_FILE"),
        (b"x" * (3 * STREAM_BYTES_MAX), 503, "SCANNER_UNAVAILABLE"),
    ],
    ids=["eicar", "at-the-end", "nested", "encrypted", "too-long"],
)
async def test_one_bad_file_refuses_all_and_leaves_nothing(
    uploads: httpx.AsyncClient, tmp_path: Path, content: bytes, status: int, code: str
) -> None:
    reply = await uploads.post("/multipart", files=[("file", b"clean"), ("file", content)])

    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert files_below(tmp_path) == []
