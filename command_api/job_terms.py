"""Says how a job is to run, from what the client asked for and what the tool allows."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from command_api.commands import RUN_AT_DAYS_MAX, SubmitJob
from command_api.errors import RunAtPast, RunAtTooFar, TimeoutTooLong
from command_api.tool_cache import CachedOffer
from events.contracts.sealed_fields import LABELS_FIELD, OPTIONS_FIELD
from events.contracts.values import Origin
from events.domain.job import JobRequest
from events.store.sealing import Seal, Sealer

LIMIT_KEY: Final = "limit key"
"""In place of a label's name, which has no space."""


def job_request(
    command: SubmitJob,
    options: str,
    tool: CachedOffer,
    seal: Seal,
    sealer: Sealer,
    at: Origin,
    reservation: UUID | None = None,
) -> JobRequest:
    """The request, but for its inputs; raises RunAtPast, RunAtTooFar, TimeoutTooLong."""
    labels, offer = command.labels, tool.offer
    text = seal.seal(LABELS_FIELD, orjson.dumps(labels).decode()) if labels else None
    return JobRequest(
        owner=at.actor,
        tool=tool.name,
        tool_version=offer.version,
        options=seal.seal(OPTIONS_FIELD, options),
        inputs=(),
        queue=command.queue,
        priority=command.priority,
        run_at=_run_at(command, at.at),
        labels=text,
        label_tokens=[sealer.label_token(at.tenant, *label) for label in sorted(labels.items())],
        attempts_max=offer.attempts_max,
        timeout_seconds=timeout_within(command.timeout_seconds, offer.timeout_seconds),
        queue_seconds_max=command.queue_seconds_max,
        retry=offer.retry,
        limit_key=limit_token(sealer, at.tenant, command.limit_key),
        reservation=reservation,
    )


def limit_token(sealer: Sealer, tenant: str, key: str | None) -> str | None:
    """A limit key as it is stored: equal for equal keys of a tenant, useless for guessing."""
    return None if key is None else sealer.label_token(tenant, LIMIT_KEY, key)


def idempotent_terms(command: SubmitJob) -> dict[str, Any]:
    """What makes two requests differ beside their tool, files and labels; only what was said."""
    unique = command.unique
    terms = {
        "delay_seconds": command.delay_seconds,
        "timeout_seconds": command.timeout_seconds,
        "queue_seconds_max": command.queue_seconds_max,
        "limit_key": command.limit_key,
        "unique": unique and [unique.key, unique.scope, unique.until, unique.on_conflict],
        "cache": None if command.cache else False,
    }
    return {name: value for name, value in terms.items() if value is not None}


def _run_at(command: SubmitJob, now: datetime) -> datetime | None:
    if command.delay_seconds is not None:
        return now + timedelta(seconds=command.delay_seconds)
    run_at = command.run_at
    if run_at is None:
        return None
    if run_at < now:
        raise RunAtPast(errors=[_detail("run_at", RunAtPast)])
    if run_at > now + timedelta(days=RUN_AT_DAYS_MAX):
        raise RunAtTooFar(errors=[_detail("run_at", RunAtTooFar)])
    return run_at


def timeout_within(wanted: float | None, most: float) -> float:
    """How long an attempt may run; raises TimeoutTooLong."""
    if wanted is None:
        return most
    if wanted > most:
        message = f"The tool runs for at most {most:g} seconds."
        detail = {"field": "timeout_seconds", "message": message, "code": TimeoutTooLong.code}
        raise TimeoutTooLong(errors=[detail])
    return wanted


def _detail(field: str, refused: type[RunAtPast | RunAtTooFar]) -> dict[str, str]:
    return {"field": field, "message": (refused.__doc__ or "").strip(), "code": refused.code}
