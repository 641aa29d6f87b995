"""`/limits`: how many jobs of the tenant run at once, or start in a while."""

from uuid import UUID

from fastapi import APIRouter, Response

from command_api.answers import limit_accepted
from command_api.commands import RemoveLimit, SetLimit
from command_api.principals import Operator
from command_api.queue_bodies import LimitAccepted, LimitBody

router = APIRouter(prefix="/limits", tags=["queues"])


@router.put("", status_code=202, response_model=LimitAccepted)
async def set_limit(body: LimitBody, caller: Operator) -> Response:
    """Limit the tenant's jobs, those of a tool, or those with a limit key."""
    command = SetLimit(
        principal=caller.principal,
        request_id=caller.request_id,
        scope=body.scope,
        name=body.name,
        bounds=body.bounds,
    )
    limit = await caller.resources.handlers.set_limit.set(command)
    return limit_accepted(limit, caller.resources.links)


@router.delete("/{limit_id}", status_code=202, response_model=LimitAccepted)
async def remove_limit(limit_id: UUID, caller: Operator) -> Response:
    """Limit these jobs no more."""
    command = RemoveLimit(
        principal=caller.principal, request_id=caller.request_id, limit_id=limit_id
    )
    limit = await caller.resources.handlers.set_limit.remove(command)
    return limit_accepted(limit, caller.resources.links)
