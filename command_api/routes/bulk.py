"""`/jobs/bulk` and `/bulk`: many jobs by one request, and the way to stop that."""

from uuid import UUID

from fastapi import APIRouter, Response

from command_api.answers import bulk_answer
from command_api.bodies import BulkAccepted, BulkBody
from command_api.commands import BulkJobs, CancelBulk
from command_api.principals import Client
from command_api.requests import IdempotencyKeyHeader

router = APIRouter(tags=["jobs"])


@router.post(
    "/jobs/bulk",
    status_code=202,
    response_model=BulkAccepted,
    responses={200: {"model": BulkAccepted, "description": "A dry run, counted."}},
)
async def bulk_jobs(
    body: BulkBody, caller: Client, idempotency_key: IdempotencyKeyHeader = None
) -> Response:
    """Cancel or retry all jobs that meet a filter: the tenant's for operators, else your own.

    With `dry_run` nothing is done; the answer says how many jobs are meant, if that is known soon.
    """
    command = BulkJobs(
        principal=caller.principal,
        request_id=caller.request_id,
        action=body.action,
        filter=body.filter.wanted(),
        dry_run=body.dry_run,
        idempotency_key=idempotency_key,
    )
    accepted = await caller.resources.handlers.bulk_jobs.request(command)
    return bulk_answer(accepted, caller.resources.links)


@router.post("/bulk/{bulk_id}/cancel", status_code=202, response_model=BulkAccepted)
async def cancel_bulk(bulk_id: UUID, caller: Client) -> Response:
    """Leave the rest of the jobs alone; what was done stays done."""
    command = CancelBulk(principal=caller.principal, request_id=caller.request_id, bulk_id=bulk_id)
    accepted = await caller.resources.handlers.bulk_jobs.cancel(command)
    return bulk_answer(accepted, caller.resources.links)
