"""`/tools/{tool}/process`: send files and run a tool on them in one request."""

from collections.abc import Mapping
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request, Response

from command_api.answers import process_accepted, process_ended
from command_api.bodies import ProcessFields, ToolProcessRequest, ToolProcessResponse
from command_api.commands import ReceivedInput, SubmitJob, ToolName
from command_api.handlers.submit_job import SubmittedJob
from command_api.principals import Caller, Client
from command_api.requests import (
    JSON,
    MULTIPART,
    IdempotencyKeyHeader,
    WaitSeconds,
    json_object,
    validated,
)
from command_api.resources import Resources
from command_api.routes.received_files import receive_form_or_json
from events.contracts.values import JobStatus
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import LogUnavailable
from infrastructure.http.uploads import Received

router = APIRouter(prefix="/tools", tags=["tools"])

FORM_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "file": {
            "type": "array",
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
            "description": "One file, or several parts of this name; none for some tools.",
        },
        "options": {"type": "string", "description": "A JSON object; see the tool's schema."},
        "run_at": {"type": "string", "format": "date-time"},
        "delay_seconds": {"type": "number"},
        "timeout_seconds": {"type": "number"},
        "queue_seconds_max": {"type": "number"},
        "unique": {"type": "string", "description": "A JSON object, as in POST /jobs."},
        "cache": {"type": "boolean"},
    },
}
REUSED_SECONDS_MAX: Final = 5
"""How long reading back a job may take that had its result at once."""
JSON_FIELDS: Final = ("options", "unique")
"""Fields of a form that hold JSON."""
REQUEST_BODY: Final[Mapping[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            MULTIPART: {"schema": FORM_SCHEMA},
            JSON: {"schema": ToolProcessRequest.model_json_schema()},
        },
    }
}


@router.post(
    "/{tool}/process",
    status_code=202,
    response_model=ToolProcessResponse,
    responses={200: {"description": "The job has ended.", "model": ToolProcessResponse}},
    openapi_extra=dict(REQUEST_BODY),
)
async def process_files(
    tool: ToolName,
    request: Request,
    caller: Client,
    wait: WaitSeconds,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response:
    """Run a tool on the files in this request; with `Prefer: wait=N` the answer is the outcome."""
    resources = caller.resources
    # Before a byte of the body is read: nobody should send 50 MB to a misspelt tool.
    known = await resources.catalogue.offer(tool)
    received = await receive_form_or_json(request, caller, needs_file=known.offer.inputs_min > 0)
    async with ProvisionalBlobs(resources.blobs) as blobs:
        for file in received.files:
            blobs.add(file.blob_key)
        command = _command(caller, tool, received, idempotency_key)
        if not wait or resources.endings.is_full:
            job = await _submit(command, blobs, resources)
            if job.status is JobStatus.SUCCEEDED:
                return await _ended(job, 0, resources)
            return process_accepted(job, resources.links, 0)
        async with resources.endings.watch():
            job = await _submit(command, blobs, resources)
            return await _ended(job, wait, resources)


def _command(caller: Caller, tool: ToolName, received: Received, key: str | None) -> SubmitJob:
    fields = dict(received.fields)
    for name in JSON_FIELDS:
        if isinstance(text := fields.get(name), str):
            fields[name] = json_object(text or "{}", name)
    body = validated(ProcessFields, fields)
    return SubmitJob(
        principal=caller.principal,
        request_id=caller.request_id,
        tool=tool,
        options=body.options,
        inputs=tuple(ReceivedInput(file) for file in received.files),
        idempotency_key=key,
        **body.terms(),
    )


async def _submit(
    command: SubmitJob, blobs: ProvisionalBlobs, resources: Resources
) -> SubmittedJob:
    job = await resources.handlers.submit_job(command, blobs)
    structlog.contextvars.bind_contextvars(job_id=str(job.job_id))
    return job


async def _ended(job: SubmittedJob, wait: int, resources: Resources) -> Response:
    links, results = resources.links, resources.results
    ending = await resources.endings.ending(job.job_id, wait or REUSED_SECONDS_MAX)
    if ending is None:
        return process_accepted(job, links, wait)
    try:
        return await process_ended(job, ending, links, results, wait)
    except LogUnavailable:
        # It was accepted; only its outcome cannot be told now.
        return process_accepted(job, links, wait)
