"""Receives files: as multipart/form-data, as base64 in a JSON object, or as a raw body.

Bytes stream from the socket into the blob store in one pass; no limit depends on what the client
says about itself. Whatever goes wrong, the client's going away included, leaves no blob behind.
Once `Received` is handed out, its blobs belong to the caller: leaving its context with an exception
deletes them, unless the caller said `keep`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import structlog
from starlette.requests import ClientDisconnect, Request

from infrastructure import metrics
from infrastructure.blobs.base import BlobKey, BlobStore, new_blob_key
from infrastructure.http.base64_body import REST_BYTES_MAX, Base64Reader
from infrastructure.http.body_guard import allow_body
from infrastructure.http.incoming import Budget, IncomingFile, ReceivedFile, scanner_away
from infrastructure.http.multipart import (
    MultipartReader,
    PartBegan,
    PartBytes,
    bad_multipart,
)
from infrastructure.http.problems import Problem
from infrastructure.http.uploads_at_once import UploadsAtOnce
from infrastructure.media_types import MediaTypes
from infrastructure.scanner import Scanner, ScannerUnavailable
from infrastructure.settings import UploadSettings

FIELDS_MAX = 20
FIELD_BYTES_MAX = 64 * 1024
# Boundaries, part headers and fields, beside the files themselves.
OVERHEAD_BYTES_MAX = 1024 * 1024
GRACE_SECONDS = 15.0
BYTES_PER_SECOND_MIN = 512
FILE_FIELD = "file"

log = structlog.get_logger(__name__)


class Received:
    """The files of one request, now blobs, and what came with them."""

    def __init__(
        self, blobs: BlobStore, files: list[ReceivedFile], fields: Mapping[str, Any]
    ) -> None:
        self.files = tuple(files)
        self.fields = fields
        self._blobs = blobs
        self._is_kept = False

    def keep(self) -> None:
        """From here on the blobs may be referred to: never delete them because of an exception."""
        self._is_kept = True

    async def discard(self) -> None:
        """Delete the blobs."""
        await _delete(self._blobs, [file.blob_key for file in self.files])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and not self._is_kept:
            await asyncio.shield(asyncio.ensure_future(self.discard()))


class UploadReceiver:
    """Receives files within the limits of its settings; `client` is whose uploads are counted."""

    def __init__(
        self,
        settings: UploadSettings,
        blobs: BlobStore,
        scanner: Scanner,
        media_types: MediaTypes,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._scanner = scanner
        self._media_types = media_types
        self._at_once = UploadsAtOnce(settings.uploads_at_once_max)

    async def multipart(
        self, request: Request, tenant: str, client: str, *, needs_file: bool = True
    ) -> Received:
        """The parts called `file`, and all others as fields of text."""
        reader = MultipartReader(request.headers.get("content-type", ""))
        async with self._reception(request, tenant, client, OVERHEAD_BYTES_MAX) as reception:
            parts = _Parts(reception, self._settings.upload_files_max)
            async for chunk in reception.chunks():
                for event in reader.feed(chunk):
                    if isinstance(event, PartBegan):
                        await parts.begin(event)
                    elif isinstance(event, PartBytes):
                        await parts.add(event.content)
                    else:
                        await parts.end()
            reader.finish()
            return reception.received(parts.fields, needs_file=needs_file)

    async def json_base64(
        self, request: Request, tenant: str, client: str, *, needs_file: bool = True
    ) -> Received:
        """The member `file_data` decoded, and the other members of the object as they are."""
        reader = Base64Reader()
        bytes_max = self._settings.max_upload_size
        # Base64 takes a third more, and line breaks may stand between its characters.
        overhead = bytes_max // 3 + bytes_max // 16 + REST_BYTES_MAX
        async with self._reception(request, tenant, client, overhead) as reception:
            async for chunk in reception.chunks():
                content = reader.feed(chunk)
                if reader.has_file and reception.current is None:
                    await reception.begin("file_data", None)
                await reception.write(content)
            members = reader.finish()
            if reception.current is not None:
                name = members.get("filename")
                await reception.end(name if isinstance(name, str) else None)
            # No file is no member, however it is spelled.
            others = {
                name: value
                for name, value in members.items()
                if name != "file_data" or value is not None
            }
            return reception.received(others, needs_file=needs_file)

    async def raw(
        self, request: Request, tenant: str, client: str, filename: str | None
    ) -> Received:
        """The whole body as one file."""
        async with self._reception(request, tenant, client, 0) as reception:
            await reception.begin(FILE_FIELD, filename)
            async for chunk in reception.chunks():
                await reception.write(chunk)
            await reception.end()
            return reception.received({}, needs_file=True)

    @asynccontextmanager
    async def _reception(
        self, request: Request, tenant: str, client: str, overhead_bytes: int
    ) -> AsyncIterator["_Reception"]:
        settings = self._settings
        allow_body(request, settings.max_upload_size + overhead_bytes, "FILE_TOO_LARGE")
        reception = _Reception(
            request, tenant, settings, self._blobs, self._scanner, self._media_types
        )
        try:
            with self._at_once.one_more(client):
                yield reception
        except BaseException as error:
            _count_refusal(error)
            # Shielded: a request that was cancelled must not leave its files behind.
            await asyncio.shield(asyncio.ensure_future(reception.abandon()))
            raise


class _Reception:
    """The files of one request while they come in, one after the other."""

    def __init__(
        self,
        request: Request,
        tenant: str,
        settings: UploadSettings,
        blobs: BlobStore,
        scanner: Scanner,
        media_types: MediaTypes,
    ) -> None:
        self.current: IncomingFile | None = None
        self.files: list[ReceivedFile] = []
        self._keys: list[BlobKey] = []
        self._request = request
        self._tenant = tenant
        self._settings = settings
        self._blobs = blobs
        self._scanner = scanner
        self._media_types = media_types
        self._budget = Budget(settings.max_upload_size)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes; raises Problem 408 when it comes too slowly."""
        began, count = time.monotonic(), 0
        stream = self._request.stream()
        while True:
            try:
                async with asyncio.timeout(self._settings.upload_idle_seconds):
                    chunk = await anext(stream, b"")
            except TimeoutError:
                raise _too_slow("nothing came") from None
            if not chunk:
                return
            count += len(chunk)
            seconds = time.monotonic() - began
            if seconds > self._settings.upload_seconds_max:
                raise _too_slow("it took too long")
            if seconds > GRACE_SECONDS and count < seconds * BYTES_PER_SECOND_MIN:
                raise _too_slow("it came too slowly")
            yield chunk

    async def begin(self, field: str, filename: str | None) -> None:
        """A file begins."""
        key = new_blob_key(self._tenant)
        writer = await self._blobs.write(key)
        try:
            scan = await self._scanner.scan()
        except ScannerUnavailable:
            await writer.abort()
            raise scanner_away() from None
        self._keys.append(key)
        self.current = IncomingFile(field, filename, writer, scan, self._media_types, self._budget)

    async def write(self, content: bytes) -> None:
        """The current file goes on."""
        if content and self.current is not None:
            await self.current.write(content)

    async def end(self, filename: str | None = None) -> None:
        """The current file is complete."""
        if self.current is not None:
            self.files.append(await self.current.finish(filename))
            await self.current.close()
            self.current = None

    def received(self, fields: Mapping[str, Any], *, needs_file: bool) -> Received:
        """All that came; raises Problem 422 if there was no file where one is needed."""
        if needs_file and not self.files:
            raise Problem(422, "MISSING_FILE", "The request holds no file.")
        return Received(self._blobs, self.files, fields)

    async def abandon(self) -> None:
        """Remove every trace."""
        try:
            if self.current is not None:
                await self.current.close()
        finally:
            await _delete(self._blobs, self._keys)


class _Parts:
    """Sorts the parts of a multipart body into files and fields."""

    def __init__(self, reception: _Reception, files_max: int) -> None:
        self.fields: dict[str, str] = {}
        self._reception = reception
        self._files_max = files_max
        self._field: str | None = None
        self._value = bytearray()

    async def begin(self, part: PartBegan) -> None:
        if part.name == FILE_FIELD:
            if len(self._reception.files) >= self._files_max:
                raise bad_multipart(f"more than {self._files_max} files")
            return await self._reception.begin(part.name, part.filename)
        if part.name in self.fields:
            raise Problem(
                400, "DUPLICATE_FIELD", "A field came twice.", details={"field": part.name}
            )
        if len(self.fields) >= FIELDS_MAX:
            raise bad_multipart(f"more than {FIELDS_MAX} fields")
        self._field = part.name
        self._value.clear()

    async def add(self, content: bytes) -> None:
        if self._field is None:
            return await self._reception.write(content)
        self._value += content
        if len(self._value) > FIELD_BYTES_MAX:
            raise bad_multipart(f"a field of more than {FIELD_BYTES_MAX} bytes")

    async def end(self) -> None:
        if self._field is None:
            return await self._reception.end()
        try:
            self.fields[self._field] = self._value.decode()
        except UnicodeDecodeError:
            raise bad_multipart("a field that is not UTF-8") from None
        self._field = None


async def _delete(blobs: BlobStore, keys: list[BlobKey]) -> None:
    for key in keys:
        try:
            if await blobs.delete(key):
                metrics.BLOBS_DELETED.labels("upload_refused").inc()
        except Exception:
            # The sweeper finds it later; the client should hear why it was refused.
            log.exception("blob_delete_failed")


def _count_refusal(error: BaseException) -> None:
    if isinstance(error, Problem):
        metrics.UPLOADS_REFUSED.labels(error.code).inc()
    elif isinstance(error, ClientDisconnect | asyncio.CancelledError):
        metrics.UPLOADS_ABORTED.inc()


def _too_slow(why: str) -> Problem:
    return Problem(408, "UPLOAD_TIMEOUT", f"The upload was given up: {why}.")
