"""`/jobs`: submit by reference, cancel, try again."""

from uuid import UUID

import structlog
from fastapi import APIRouter, Response

from command_api.answers import job_accepted
from command_api.bodies import JobAccepted, JobBody, JobChangeBody
from command_api.commands import CancelJob, ReprioritiseJob, RetryJob, SubmitJob
from command_api.principals import Client
from command_api.requests import IdempotencyKeyHeader
from command_api.routes.lean_route import LeanRoute
from events.store.provisional_blobs import ProvisionalBlobs

router = APIRouter(prefix="/jobs", tags=["jobs"])


async def submit_job(
    body: JobBody, caller: Client, idempotency_key: IdempotencyKeyHeader = None
) -> Response:
    """Run a tool on files that were uploaded before, or that other jobs made."""
    command = SubmitJob(
        principal=caller.principal,
        request_id=caller.request_id,
        tool=body.tool,
        options=body.options,
        inputs=tuple(each.asked() for each in body.inputs),
        queue=body.queue,
        priority=body.priority,
        labels=body.labels,
        idempotency_key=idempotency_key,
        **body.terms(),
    )
    async with ProvisionalBlobs(caller.resources.blobs) as blobs:
        job = await caller.resources.handlers.submit_job(command, blobs)
    structlog.contextvars.bind_contextvars(job_id=str(job.job_id))
    return job_accepted(job, caller.resources.links)


router.add_api_route(
    "",
    submit_job,
    methods=["POST"],
    status_code=202,
    response_model=JobAccepted,
    route_class_override=LeanRoute,
)


@router.post("/{job_id}/cancel", status_code=202, response_model=JobAccepted)
async def cancel_job(job_id: UUID, caller: Client) -> Response:
    """Call a job off, whatever it is doing."""
    command = CancelJob(principal=caller.principal, request_id=caller.request_id, job_id=job_id)
    job = await caller.resources.handlers.steer_job.cancel(command)
    return job_accepted(job, caller.resources.links)


@router.post("/{job_id}/retry", status_code=202, response_model=JobAccepted)
async def retry_job(job_id: UUID, caller: Client) -> Response:
    """Queue a failed or cancelled job again, with fresh attempts."""
    command = RetryJob(principal=caller.principal, request_id=caller.request_id, job_id=job_id)
    job = await caller.resources.handlers.steer_job.retry(command)
    return job_accepted(job, caller.resources.links)


@router.patch("/{job_id}", status_code=202, response_model=JobAccepted)
async def change_job(job_id: UUID, body: JobChangeBody, caller: Client) -> Response:
    """Let a job that waits go before or after others."""
    command = ReprioritiseJob(
        principal=caller.principal,
        request_id=caller.request_id,
        job_id=job_id,
        priority=body.priority,
    )
    job = await caller.resources.handlers.steer_job.reprioritise(command)
    return job_accepted(job, caller.resources.links)
