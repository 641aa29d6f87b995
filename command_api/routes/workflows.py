"""`/workflows` and `/batches`: submit, cancel, try again."""

from uuid import UUID

import structlog
from fastapi import APIRouter, Response

from command_api.answers import workflow_accepted
from command_api.bodies import OutputInputBody, UploadInputBody
from command_api.commands import OutputInput, UploadInput
from command_api.principals import Caller, Client
from command_api.requests import IdempotencyKeyHeader
from command_api.workflow_bodies import (
    BatchBody,
    RetryWorkflowBody,
    StepOutputBody,
    WorkflowAccepted,
    WorkflowBody,
)
from command_api.workflow_commands import (
    CancelWorkflow,
    RetryWorkflow,
    StepOutput,
    StepRequest,
    StepSource,
    SubmitWorkflow,
)
from events.contracts.workflow import OnFailure, WorkflowKind
from events.store.provisional_blobs import ProvisionalBlobs

router = APIRouter(tags=["workflows"])


@router.post("/workflows", status_code=202, response_model=WorkflowAccepted)
async def submit_workflow(
    body: WorkflowBody, caller: Client, idempotency_key: IdempotencyKeyHeader = None
) -> Response:
    """Run steps, each as soon as what it waits for has ended."""
    steps = tuple(
        StepRequest(
            id=step.id,
            tool=step.tool,
            options=step.options,
            inputs=tuple(_source(each) for each in step.inputs),
            after=step.after,
            for_each=step.for_each,
            join=step.join,
            quorum=step.quorum,
            queue=step.queue,
            priority=step.priority,
        )
        for step in body.steps
    )
    command = SubmitWorkflow(
        principal=caller.principal,
        request_id=caller.request_id,
        steps=steps,
        name=body.name,
        on_failure=body.on_failure,
        labels=body.labels,
        idempotency_key=idempotency_key,
    )
    return await _submit(command, caller)


@router.post("/batches", status_code=202, response_model=WorkflowAccepted)
async def submit_batch(
    body: BatchBody, caller: Client, idempotency_key: IdempotencyKeyHeader = None
) -> Response:
    """Run jobs that have nothing to do with each other, and tell when all have ended."""
    steps = tuple(
        StepRequest(
            id=job.id or f"job-{number}",
            tool=job.tool,
            options=job.options,
            inputs=tuple(_source(each) for each in job.inputs),
            queue=job.queue,
            priority=job.priority,
        )
        for number, job in enumerate(body.jobs, 1)
    )
    command = SubmitWorkflow(
        principal=caller.principal,
        request_id=caller.request_id,
        steps=steps,
        kind=WorkflowKind.BATCH,
        name=body.name,
        on_failure=OnFailure.CONTINUE,
        labels=body.labels,
        idempotency_key=idempotency_key,
    )
    return await _submit(command, caller)


@router.post("/workflows/{workflow_id}/cancel", status_code=202, response_model=WorkflowAccepted)
async def cancel_workflow(workflow_id: UUID, caller: Client) -> Response:
    """Call a workflow off: nothing more is started, and what runs is called off too."""
    command = CancelWorkflow(
        principal=caller.principal, request_id=caller.request_id, workflow_id=workflow_id
    )
    workflow = await caller.resources.handlers.steer_workflow.cancel(command)
    return workflow_accepted(workflow, caller.resources.links)


@router.post("/workflows/{workflow_id}/retry", status_code=202, response_model=WorkflowAccepted)
async def retry_workflow(
    workflow_id: UUID, caller: Client, body: RetryWorkflowBody | None = None
) -> Response:
    """Run again what did not succeed of a workflow that failed or was cancelled."""
    command = RetryWorkflow(
        principal=caller.principal,
        request_id=caller.request_id,
        workflow_id=workflow_id,
        from_step=body.from_step if body is not None else None,
        whole_steps=body is not None and body.whole_steps,
    )
    workflow = await caller.resources.handlers.steer_workflow.retry(command)
    return workflow_accepted(workflow, caller.resources.links)


async def _submit(command: SubmitWorkflow, caller: Caller) -> Response:
    async with ProvisionalBlobs(caller.resources.blobs) as blobs:
        workflow = await caller.resources.handlers.submit_workflow(command, blobs)
    structlog.contextvars.bind_contextvars(workflow_id=str(workflow.workflow_id))
    return workflow_accepted(workflow, caller.resources.links)


def _source(body: UploadInputBody | OutputInputBody | StepOutputBody) -> StepSource:
    if isinstance(body, UploadInputBody):
        return UploadInput(body.upload_id)
    if isinstance(body, OutputInputBody):
        return OutputInput(body.job_id, body.output)
    return StepOutput(body.step, body.output)
