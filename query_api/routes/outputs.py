"""The bytes of a job's outputs, one by one or all in one archive.

They are always sent as an attachment of the stored type that no browser may guess about, so that
nothing a tool made is ever shown as a page of ours.
"""

from datetime import datetime
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from events.contracts.values import JobStatus
from infrastructure.blobs.base import BlobNotFound, checked_key
from infrastructure.http.etag import matches, not_modified
from query_api.byte_ranges import ByteRange, requested_range
from query_api.dispositions import attachment
from query_api.errors import (
    BlobMissing,
    OutputNotFound,
    OutputsTooLarge,
    QueryError,
    ResultExpired,
    ResultNotReady,
)
from query_api.output_zip import (
    BYTES_MAX,
    FILES_MAX,
    Entry,
    TooLarge,
    entries_of,
    etag_of,
    zipped,
)
from query_api.principals import CurrentUser
from query_api.queries.jobs import JobRow
from query_api.rendering import APPLIED_POSITION, reads
from query_api.resources import Resources, WithResources
from query_api.routes.parameters import JobId, MinPosition
from query_api.sealed import SealedText
from query_api.seeing import visible_job

CACHE_CONTROL: Final = "private, no-cache"

router = APIRouter(prefix="/jobs", tags=["jobs"])

log = structlog.get_logger(__name__)

File = dict[str, Any]
"""A `FileRef` as the row holds it."""

BYTES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "All bytes", "content": {"application/octet-stream": {}}},
    206: {"description": "The range", "content": {"application/octet-stream": {}}},
}
ZIP: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "All outputs", "content": {"application/zip": {}}},
}


@reads(router, "/{job_id}/outputs/{name:path}", responses=BYTES, response_class=Response)
async def get_output(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    job_id: JobId,
    name: str,
    min_position: MinPosition = 0,
) -> Response:
    """The bytes of one output, or one range of them."""
    job = await visible_job(resources, principal, job_id, min_position)
    text = SealedText(await resources.history.seal(job_id))
    file = _output(job.found, name, text)
    answer = await _answer(request, resources, job.found, file)
    answer.headers["Content-Disposition"] = attachment(name)
    answer.headers[APPLIED_POSITION] = str(job.position)
    return answer


@reads(router, "/{job_id}/outputs.zip", responses=ZIP, response_class=Response)
async def get_outputs_as_zip(
    request: Request,
    resources: WithResources,
    principal: CurrentUser,
    job_id: JobId,
    min_position: MinPosition = 0,
) -> Response:
    """All outputs as one ZIP, not compressed, in the order in which the job shows them."""
    job = await visible_job(resources, principal, job_id, min_position)
    text = SealedText(await resources.history.seal(job_id))
    entries = _entries(job.found, text)
    answer = await _zip(request, resources, job.found, entries)
    answer.headers["Content-Disposition"] = attachment(f"{job.found.tool}-{job_id}.zip")
    answer.headers[APPLIED_POSITION] = str(job.position)
    return answer


def _entries(job: JobRow, text: SealedText) -> list[Entry]:
    _must_have_outputs(job)
    names = [text.name(file["name"]) for file in job.outputs]
    readable = [name for name in names if name is not None]
    if not readable or len(readable) < len(names):
        raise OutputNotFound("The job has no outputs that can be named.")
    try:
        return entries_of(job.outputs, readable)
    except TooLarge:
        raise OutputsTooLarge(files_max=FILES_MAX, bytes_max=BYTES_MAX) from None


async def _zip(
    request: Request, resources: Resources, job: JobRow, entries: list[Entry]
) -> Response:
    etag = etag_of(entries)
    if matches(request, etag):
        return not_modified(etag, CACHE_CONTROL)
    try:
        for entry in entries:
            # Once the first byte is sent there is no other way to say it than to break off.
            await resources.blobs.size(checked_key(entry.blob_key))
    except BlobNotFound:
        raise _missing(job, resources.clock.now()) from None
    headers = {"Content-Type": "application/zip", "ETag": etag, "Cache-Control": CACHE_CONTROL}
    if request.method == "HEAD":
        return Response(None, 200, headers)
    sent = zipped(entries, lambda key: resources.blobs.open(checked_key(key)))
    return StreamingResponse(sent, 200, headers)


def _output(job: JobRow, name: str, text: SealedText) -> File:
    _must_have_outputs(job)
    for file in job.outputs:
        if text.name(file["name"]) == name:
            return file
    raise OutputNotFound


def _must_have_outputs(job: JobRow) -> None:
    if not job.is_final:
        raise ResultNotReady(status=job.status)
    if job.status != JobStatus.SUCCEEDED:
        raise OutputNotFound("The job has no outputs, for it has not succeeded.")
    if job.result_expired:
        raise ResultExpired


async def _answer(request: Request, resources: Resources, job: JobRow, file: File) -> Response:
    etag = f'"{file["sha256"]}"'
    if matches(request, etag):
        return not_modified(etag, CACHE_CONTROL)
    key = checked_key(file["blob_key"])
    try:
        size = await resources.blobs.size(key)
    except BlobNotFound:
        raise _missing(job, resources.clock.now()) from None
    part = _part(request, size, etag)
    sent = part or ByteRange(0, size)
    headers = {
        "Content-Type": file["media_type"],
        "Content-Length": str(sent.end - sent.start),
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": CACHE_CONTROL,
    }
    if part is not None:
        headers["Content-Range"] = part.content_range(size)
    status = 206 if part else 200
    if request.method == "HEAD":
        return Response(None, status, headers)
    return StreamingResponse(resources.blobs.open(key, sent.start, sent.end), status, headers)


def _part(request: Request, size: int, etag: str) -> ByteRange | None:
    """The range that is asked for; all, where it was meant for other bytes than these."""
    if request.method != "GET" or request.headers.get("if-range", etag) != etag:
        return None
    return requested_range(request.headers.get("range"), size)


def _missing(job: JobRow, now: datetime) -> QueryError:
    if job.expires_at is not None and job.expires_at <= now:
        # Deleted already; the read model has not heard of it yet.
        return ResultExpired()
    log.error("output_blob_missing", job_id=str(job.job_id))
    return BlobMissing()
