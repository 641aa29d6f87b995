"""What a client is told of its job: a receipt at once, or how the job ended."""

from collections.abc import Mapping

from pydantic import BaseModel
from starlette.responses import Response

from command_api.bodies import BulkAccepted, JobAccepted, ToolProcessResponse
from command_api.handlers.bulk_jobs import AcceptedBulk
from command_api.handlers.manage_schedules import FiredJob
from command_api.handlers.set_limit import SteeredLimit
from command_api.handlers.steer_job import SteeredJob
from command_api.handlers.steer_queue import SteeredQueue
from command_api.handlers.steer_workflow import SteeredWorkflow
from command_api.handlers.submit_job import SubmittedJob
from command_api.handlers.submit_workflow import SubmittedWorkflow
from command_api.job_endings import Ending
from command_api.links import Links
from command_api.queue_bodies import LimitAccepted, QueueAccepted
from command_api.results import Results
from command_api.workflow_bodies import WorkflowAccepted
from events.contracts.bulk import BulkStatus
from events.contracts.values import JobStatus
from infrastructure.http.problems import Problem

POSITION = "X-Event-Position"
REPLAYED = "Idempotency-Replayed"
APPLIED = "Preference-Applied"
TOOL_FAILED = "TOOL_PROCESSING_ERROR"


def job_accepted(job: SubmittedJob | SteeredJob, links: Links) -> Response:
    """The receipt of a command on a job."""
    body = JobAccepted(
        job_id=job.job_id,
        status=job.status,
        position=job.position,
        links=links.of_job(job.job_id),
        is_duplicate=_is_duplicate(job),
    )
    return _json(body, _accepted(job), _headers(job, links))


def workflow_accepted(workflow: SubmittedWorkflow | SteeredWorkflow, links: Links) -> Response:
    """The receipt of a command on a workflow."""
    body = WorkflowAccepted(
        workflow_id=workflow.workflow_id,
        status=workflow.status,
        position=workflow.position,
        links=links.of_workflow(workflow.workflow_id),
    )
    headers = {
        "Location": links.workflow(workflow.workflow_id),
        POSITION: str(workflow.position),
    }
    if isinstance(workflow, SubmittedWorkflow) and workflow.is_repeat:
        headers[REPLAYED] = "true"
    return _json(body, 202, headers)


def bulk_answer(accepted: AcceptedBulk, links: Links) -> Response:
    """The receipt of a bulk operation, or what a dry run has counted."""
    bulk = accepted.bulk
    body = BulkAccepted(
        bulk_id=bulk.id,
        action=bulk.action,
        status=bulk.status,
        dry_run=bulk.dry_run,
        matched=bulk.matched,
        changed=bulk.changed,
        skipped=bulk.skipped,
        position=accepted.position,
        links=links.of_bulk(bulk.id),
    )
    headers = {"Location": links.bulk(bulk.id), POSITION: str(accepted.position)}
    if accepted.is_repeat:
        headers[REPLAYED] = "true"
    is_counted = bulk.dry_run and bulk.status is BulkStatus.FINISHED
    return _json(body, 200 if is_counted else 202, headers)


def queue_accepted(queue: SteeredQueue, links: Links) -> Response:
    """The receipt of a command on a queue."""
    body = QueueAccepted(
        queue=queue.queue,
        paused=queue.is_paused,
        position=queue.position,
        links={"queues": links.queues},
    )
    return _json(body, 202, {"Location": links.queues, POSITION: str(queue.position)})


def limit_accepted(limit: SteeredLimit, links: Links) -> Response:
    """The receipt of a command on a limit."""
    body = LimitAccepted(
        limit_id=limit.limit_id, position=limit.position, links={"limits": links.limits}
    )
    return _json(body, 202, {"Location": links.limits, POSITION: str(limit.position)})


def fired_job(job: FiredJob, links: Links) -> Response:
    """The receipt of a job that a schedule submitted."""
    submitted = SubmittedJob(job.job_id, job.position, job.status, is_repeat=job.is_repeat)
    return job_accepted(submitted, links)


def process_accepted(job: SubmittedJob, links: Links, waited: int) -> Response:
    """The receipt of files that a tool will process."""
    body = _processed(job, links, job.position)
    return _json(body, _accepted(job), _headers(job, links, waited=waited))


async def process_ended(
    job: SubmittedJob,
    ending: Ending,
    links: Links,
    results: Results,
    waited: int,
) -> Response:
    """The outcome; raises a 422 problem if the tool failed, and LogUnavailable."""
    headers = _headers(job, links, position=ending.position, waited=waited)
    if ending.job.status is JobStatus.FAILED:
        message = await results.error_message(ending.job)
        details = {"job_id": str(job.job_id), "links": links.of_job(job.job_id)}
        code = ending.job.error_code or TOOL_FAILED
        raise Problem(422, code, message, details=details, headers=headers)
    outputs = await results.outputs(ending.job)
    body = _processed(job, links, ending.position)
    body.status = ending.job.status
    body.outputs = outputs
    body.notes = await results.notes(ending.job)
    body.result_url = outputs[0].url if outputs else None
    # Who did not wait gets the receipt that was promised, of a job that has ended already.
    return _json(body, 200 if waited else _accepted(job), headers)


def _processed(job: SubmittedJob, links: Links, position: int) -> ToolProcessResponse:
    return ToolProcessResponse(
        task_id=job.job_id,
        job_id=job.job_id,
        status=job.status,
        position=position,
        links=links.of_job(job.job_id),
        is_duplicate=job.is_duplicate,
    )


def _is_duplicate(job: SubmittedJob | SteeredJob) -> bool:
    return isinstance(job, SubmittedJob) and job.is_duplicate


def _accepted(job: SubmittedJob | SteeredJob) -> int:
    """202, but where there was nothing to accept."""
    return 200 if _is_duplicate(job) else 202


def _headers(
    job: SubmittedJob | SteeredJob,
    links: Links,
    *,
    position: int | None = None,
    waited: int = 0,
) -> dict[str, str]:
    headers = {
        "Location": links.job(job.job_id),
        POSITION: str(job.position if position is None else position),
    }
    if isinstance(job, SubmittedJob) and job.is_repeat:
        headers[REPLAYED] = "true"
    if waited:
        headers[APPLIED] = f"wait={waited}"
    return headers


def _json(body: BaseModel, status: int, headers: Mapping[str, str]) -> Response:
    # The model's own serializer: validating our own answer again would cost more than making it.
    content = body.model_dump_json()
    return Response(content, status, headers=dict(headers), media_type="application/json")
