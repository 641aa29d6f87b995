"""`/schedules`: jobs that are submitted again and again, by a plan."""

from uuid import UUID

from fastapi import APIRouter, Response

from command_api.answers import POSITION, REPLAYED, fired_job
from command_api.bodies import JobAccepted
from command_api.handlers.manage_schedules import KeptSchedule
from command_api.links import Links
from command_api.principals import Caller, Client
from command_api.requests import IdempotencyKeyHeader
from command_api.schedule_bodies import ScheduleBody, ScheduleChangeBody, ScheduleKept
from command_api.schedule_commands import (
    ChangeSchedule,
    CreateSchedule,
    FireSchedule,
    SteerSchedule,
)
from events.store.provisional_blobs import ProvisionalBlobs

router = APIRouter(prefix="/schedules", tags=["schedules"])


@router.post("", status_code=201, response_model=ScheduleKept)
async def create_schedule(
    body: ScheduleBody, caller: Client, idempotency_key: IdempotencyKeyHeader = None
) -> Response:
    """Submit a job by a plan, from the plan's next time on."""
    command = CreateSchedule(
        principal=caller.principal,
        request_id=caller.request_id,
        name=body.name,
        plan=body.plan(),
        job=body.job.asked(),
        idempotency_key=idempotency_key,
    )
    async with ProvisionalBlobs(caller.resources.blobs) as blobs:
        kept = await caller.resources.handlers.manage_schedules.create(command, blobs)
    return _kept(kept, caller.resources.links, 201)


@router.patch("/{schedule_id}", response_model=ScheduleKept)
async def change_schedule(schedule_id: UUID, body: ScheduleChangeBody, caller: Client) -> Response:
    """Give it another name, plan or job; times that passed under the old plan are not made up."""
    command = ChangeSchedule(
        principal=caller.principal,
        request_id=caller.request_id,
        schedule_id=schedule_id,
        name=body.name,
        cron=body.cron,
        zone=body.time_zone,
        missed=body.missed,
        job=None if body.job is None else body.job.asked(),
    )
    async with ProvisionalBlobs(caller.resources.blobs) as blobs:
        kept = await caller.resources.handlers.manage_schedules.change(command, blobs)
    return _kept(kept, caller.resources.links)


@router.delete("/{schedule_id}", response_model=ScheduleKept)
async def delete_schedule(schedule_id: UUID, caller: Client) -> Response:
    """End it; the jobs that it submitted stay."""
    kept = await caller.resources.handlers.manage_schedules.delete(_steer(schedule_id, caller))
    return _kept(kept, caller.resources.links)


@router.post("/{schedule_id}/pause", response_model=ScheduleKept)
async def pause_schedule(schedule_id: UUID, caller: Client) -> Response:
    """Let it fire no more for a while."""
    kept = await caller.resources.handlers.manage_schedules.pause(_steer(schedule_id, caller))
    return _kept(kept, caller.resources.links)


@router.post("/{schedule_id}/resume", response_model=ScheduleKept)
async def resume_schedule(schedule_id: UUID, caller: Client) -> Response:
    """Let it fire again, from its next time on."""
    kept = await caller.resources.handlers.manage_schedules.resume(_steer(schedule_id, caller))
    return _kept(kept, caller.resources.links)


@router.post("/{schedule_id}/fire", status_code=202, response_model=JobAccepted)
async def fire_schedule(
    schedule_id: UUID, caller: Client, idempotency_key: IdempotencyKeyHeader = None
) -> Response:
    """Submit its job now, whatever its plan says, also while it is paused."""
    command = FireSchedule(
        principal=caller.principal,
        request_id=caller.request_id,
        schedule_id=schedule_id,
        idempotency_key=idempotency_key,
    )
    job = await caller.resources.handlers.manage_schedules.fire(command)
    return fired_job(job, caller.resources.links)


def _steer(schedule_id: UUID, caller: Caller) -> SteerSchedule:
    return SteerSchedule(
        principal=caller.principal, request_id=caller.request_id, schedule_id=schedule_id
    )


def _kept(kept: KeptSchedule, links: Links, status: int = 200) -> Response:
    body = ScheduleKept(
        schedule_id=kept.schedule_id,
        status=kept.status,
        position=kept.position,
        links=links.of_schedule(kept.schedule_id),
    )
    headers = {"Location": links.schedule(kept.schedule_id), POSITION: str(kept.position)}
    if kept.is_repeat:
        headers[REPLAYED] = "true"
    return Response(body.model_dump_json(), status, headers=headers, media_type="application/json")
