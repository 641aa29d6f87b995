"""Writes the report of a job as one Markdown document, to be pasted where the problem is told."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from infrastructure.cli.display import printable

Report = Mapping[str, Any]

FENCE: Final = "~~~~"


def document(report: Report) -> str:
    """The whole report."""
    parts = (_head(report), _attempts(report["attempts"]), _log(report), _timeline(report))
    return "\n".join(line for part in parts for line in part)


def _head(report: Report) -> Iterator[str]:
    job, reason = report["job"], report["reason"]
    yield f"# Job {job['job_id']}: {job['status']}"
    yield ""
    if reason is not None:
        yield f"**{reason['code']}**: {_text(reason['message'])}"
        yield ""
    facts = {
        "tool": f"{job['tool']} {job['tool_version']}",
        "queue": job["queue"],
        "request": report["request_id"],
        "submitted": job["created_at"],
        "finished": job["finished_at"],
        "waited": _seconds(report["queue_wait_ms"]),
        "ran": _seconds(report["run_ms"]),
        "options": job["options"],
        "inputs": [f"{file['media_type']}, {file['size_bytes']} bytes" for file in job["inputs"]],
    }
    yield from (f"- {name}: {_text(value)}" for name, value in facts.items())


def _attempts(attempts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield ""
    yield "## Attempts"
    yield ""
    yield "| # | outcome | waited | ran | worker | version | isolation | used | why |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for attempt in attempts:
        error = attempt["error"]
        late = ", late outcome refused" if attempt["late_outcome_refused"] else ""
        cells = (
            attempt["number"],
            attempt["outcome"] + late,
            _seconds(attempt["waited_ms"]),
            _seconds(attempt["duration_ms"]),
            attempt["worker"],
            attempt["tool_version"],
            attempt["isolation"],
            ", ".join(f"{name} {value:g}" for name, value in attempt["resources"].items()),
            f"{error['code']}: {_text(error['message'])}" if error else "",
        )
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _log(report: Report) -> Iterator[str]:
    log = report["log"]
    if log is None:
        return
    yield ""
    cut = ", cut" if log["is_cut"] else ""
    yield f"## Log of attempt {log['number']}{cut}"
    yield ""
    yield FENCE
    yield from (printable(line) for line in (log["text"] or "(erased)").splitlines())
    yield FENCE


def _timeline(report: Report) -> Iterator[str]:
    yield ""
    yield "## Timeline"
    yield ""
    for event in report["timeline"]:
        what = event["topic"].rpartition(".")[2]
        yield f"- {event['occurred_at']} {what} (position {event['position']}, {event['actor']})"
    if report["timeline_is_cut"]:
        yield "- …"


def _seconds(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1000:.3f} s"


def _text(value: object) -> str:
    return "-" if value in (None, "", [], {}) else printable(str(value))


def _cell(value: object) -> str:
    return _text(value).replace("|", "\\|")
