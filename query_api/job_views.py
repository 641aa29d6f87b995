"""Makes the view of a job from its row: opens what is sealed, and says where things are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from events.contracts.values import JobStatus
from events.store.sealing import Seal
from query_api.links import Links
from query_api.output_zip import fits
from query_api.queries.jobs import JobRow
from query_api.sealed import SealedText
from query_api.views import (
    ErrorView,
    FileView,
    JobDetailView,
    JobView,
    OutputView,
    ProgressView,
)


def job_views(
    rows: Iterable[JobRow],
    seals: Mapping[UUID, Seal],
    progress: Mapping[UUID, ProgressView],
    links: Links,
) -> list[JobView]:
    """The jobs of a list."""
    return [
        JobView.model_construct(
            **_fields(row, SealedText(seals.get(row.job_id)), progress.get(row.job_id), links)
        )
        for row in rows
    ]


def job_detail_view(
    row: JobRow,
    seal: Seal | None,
    progress: ProgressView | None,
    links: Links,
) -> JobDetailView:
    """One job."""
    text = SealedText(seal)
    return JobDetailView.model_construct(
        options=text.options(row.options, row.secret_options), **_fields(row, text, progress, links)
    )


def _fields(
    row: JobRow, text: SealedText, progress: ProgressView | None, links: Links
) -> dict[str, Any]:
    outputs = [_output_view(row, file, text, links) for file in row.outputs]
    return {
        "job_id": row.job_id,
        "tool": row.tool,
        "tool_version": row.tool_version,
        "status": JobStatus(row.status),
        "owner": row.owner,
        "queue": row.queue,
        "priority": row.priority,
        "attempt": row.attempt,
        "attempts_max": row.attempts_max,
        "worker": row.worker,
        "progress": progress,
        "labels": text.labels(row.labels),
        "inputs": [file_view(file, text) for file in row.inputs],
        "outputs": outputs,
        "notes": text.notes(row.notes),
        "error": _error_view(row, text),
        "request_id": row.correlation_id,
        "created_at": row.created_at,
        "queued_at": row.queued_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "due_at": row.due_at,
        "expires_at": row.expires_at,
        "result_expired": row.result_expired,
        "duration_ms": row.duration_ms,
        "timeout_seconds": row.timeout_seconds,
        "queue_seconds_max": row.queue_seconds_max,
        "schedule_id": row.schedule_id,
        "reused_from": row.reused_from,
        "workflow_id": row.workflow_id,
        "step": row.step,
        "version": row.version,
        "position": row.position,
        "links": links.job(row.job_id, row.status) | _zip_link(row, outputs, links),
    }


def _zip_link(row: JobRow, outputs: Sequence[OutputView], links: Links) -> dict[str, str]:
    """Where all outputs are one file, if there are any and each can still be had."""
    if not outputs or not all(output.url for output in outputs) or not fits(row.outputs):
        return {}
    return {"outputs_zip": links.outputs_zip(row.job_id)}


def file_view(file: dict[str, Any], text: SealedText) -> FileView:
    """A file as those see it who may see its owner's text."""
    return FileView.model_construct(
        name=text.shown_name(file["name"]),
        media_type=file["media_type"],
        size_bytes=file["size_bytes"],
        sha256=file["sha256"],
    )


def _output_view(row: JobRow, file: dict[str, Any], text: SealedText, links: Links) -> OutputView:
    name = text.name(file["name"])
    is_there = name is not None and not row.result_expired
    return OutputView.model_construct(
        **dict(file_view(file, text)),
        url=links.output(row.job_id, name) if is_there and name is not None else None,
    )


def _error_view(row: JobRow, text: SealedText) -> ErrorView | None:
    if row.error_code is None:
        return None
    return ErrorView.model_construct(code=row.error_code, message=text.message(row.error_message))
