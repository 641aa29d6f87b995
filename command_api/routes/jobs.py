"""`/jobs`: submit by reference, cancel, try again."""

from uuid import UUID

import structlog
from fastapi import APIRouter, Response

from command_api.answers import job_accepted
from command_api.bodies import JobAccepted, JobBody, OutputInputBody, UploadInputBody
from command_api.commands import CancelJob, JobInput, OutputInput, RetryJob, SubmitJob, UploadInput
from command_api.principals import Client
from command_api.provisional_blobs import ProvisionalBlobs
from command_api.requests import IdempotencyKeyHeader, RequestId
from command_api.resources import WithResources

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.post("", status_code=202, response_model=JobAccepted)
async def submit_job(
    body: JobBody,
    principal: Client,
    resources: WithResources,
    request_id: RequestId,
    key: IdempotencyKeyHeader,
) -> Response:
    """Run a tool on files that were uploaded before, or that other jobs made."""
    command = SubmitJob(
        principal=principal,
        request_id=request_id,
        tool=body.tool,
        options=body.options,
        inputs=tuple(_input(each) for each in body.inputs),
        queue=body.queue,
        priority=body.priority,
        run_at=body.run_at,
        labels=body.labels,
        idempotency_key=key,
    )
    async with ProvisionalBlobs(resources.blobs) as blobs:
        job = await resources.handlers.submit_job(command, blobs)
    structlog.contextvars.bind_contextvars(job_id=str(job.job_id))
    return job_accepted(job, resources.links)


@router.post("/{job_id}/cancel", status_code=202, response_model=JobAccepted)
async def cancel_job(
    job_id: UUID, principal: Client, resources: WithResources, request_id: RequestId
) -> Response:
    """Call a job off, whatever it is doing."""
    command = CancelJob(principal=principal, request_id=request_id, job_id=job_id)
    return job_accepted(await resources.handlers.steer_job.cancel(command), resources.links)


@router.post("/{job_id}/retry", status_code=202, response_model=JobAccepted)
async def retry_job(
    job_id: UUID, principal: Client, resources: WithResources, request_id: RequestId
) -> Response:
    """Queue a failed or cancelled job again, with fresh attempts."""
    command = RetryJob(principal=principal, request_id=request_id, job_id=job_id)
    return job_accepted(await resources.handlers.steer_job.retry(command), resources.links)


def _input(body: UploadInputBody | OutputInputBody) -> JobInput:
    if isinstance(body, UploadInputBody):
        return UploadInput(body.upload_id)
    return OutputInput(body.job_id, body.output)
