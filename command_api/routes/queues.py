"""`/queues`: stop a queue of the tenant, and let it go on."""

from fastapi import APIRouter, Response

from command_api.answers import queue_accepted
from command_api.commands import QueueName, SteerQueue
from command_api.principals import Caller, Operator
from command_api.queue_bodies import QueueAccepted

router = APIRouter(prefix="/queues", tags=["queues"])


@router.post("/{queue}/pause", status_code=202, response_model=QueueAccepted)
async def pause_queue(queue: QueueName, caller: Operator) -> Response:
    """Start no job of it until it is resumed; what runs, runs on."""
    return await _steer(queue, caller, pause=True)


@router.post("/{queue}/resume", status_code=202, response_model=QueueAccepted)
async def resume_queue(queue: QueueName, caller: Operator) -> Response:
    """Let its jobs be started again."""
    return await _steer(queue, caller, pause=False)


async def _steer(queue: QueueName, caller: Caller, *, pause: bool) -> Response:
    command = SteerQueue(
        principal=caller.principal, request_id=caller.request_id, queue=queue, pause=pause
    )
    steered = await caller.resources.handlers.steer_queue(command)
    return queue_accepted(steered, caller.resources.links)
