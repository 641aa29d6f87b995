"""An application that takes uploads in every form, and looks at what they leave on disk."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
UPLOADS_AT_ONCE_MAX = 26
REPLY_SECONDS_MAX = 60.0


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


def client_of(request: Request) -> str:
    """Whose upload it is."""
    return request.headers.get("x-client", "user:1")


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
    """A house that waits for an upload as long as a busy machine may take."""
    async with opened(tmp_path, media_types) as made:
        yield made


@pytest.fixture
async def house_of_short_pauses(tmp_path: Path, media_types: MediaTypes) -> AsyncIterator[House]:
    """A house that gives an upload up as soon as it stalls."""
    async with opened(tmp_path, media_types, upload_idle_seconds=0.5) as made:
        yield made


@pytest.fixture
async def house_of_short_uploads(tmp_path: Path, media_types: MediaTypes) -> AsyncIterator[House]:
    """A house in which an upload must be over soon."""
    async with opened(tmp_path, media_types, upload_seconds_max=1.0) as made:
        yield made


@asynccontextmanager
async def opened(folder: Path, media_types: MediaTypes, **limits: float) -> AsyncIterator[House]:
    """A house with these limits of time."""
    blobs = DiskBlobStore(folder / "blobs")
    settings = UploadSettings(
        _env_file=None,
        **{
            "max_upload_size": UPLOAD_MAX,
            "upload_files_max": 3,
            "uploads_at_once_max": UPLOADS_AT_ONCE_MAX,
            "upload_idle_seconds": REPLY_SECONDS_MAX,
            "upload_seconds_max": 2 * REPLY_SECONDS_MAX,
            **limits,
        },
    )
    receiver = UploadReceiver(settings, blobs, NoScanner(), media_types)
    app = create_api(title="t", version="1", description="d", readiness=Readiness())

    @app.post("/multipart")
    async def multipart(request: Request) -> dict[str, Any]:
        return shown(await receiver.multipart(request, TENANT, client_of(request)))

    @app.post("/json")
    async def json_base64(request: Request) -> dict[str, Any]:
        return shown(await receiver.json_base64(request, TENANT, client_of(request)))

    @app.post("/raw")
    async def raw(request: Request) -> dict[str, Any]:
        return shown(
            await receiver.raw(request, TENANT, client_of(request), request.headers.get("x-name"))
        )

    @app.post("/refused-later")
    async def refused_later(request: Request, keep: bool = False) -> None:
        async with await receiver.multipart(request, TENANT, client_of(request)) as received:
            if keep:
                received.keep()
            raise Problem(422, "BAD_OPTION", "No.")

    async with served(app) as url:
        yield House(url, folder / "blobs", blobs)
    await blobs.close()


@pytest.fixture
async def upload_client(house: House) -> AsyncIterator[httpx.AsyncClient]:
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
