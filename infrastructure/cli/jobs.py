"""`magictoolbox jobs`: look at jobs, wait for them, call them off, try them again."""

from typing import Annotated, Any

import typer

from infrastructure.cli import bulk
from infrastructure.cli.arguments import AsJson, AsZip, DataDir, JobId, OutputPath
from infrastructure.cli.client import Client, open_client, segment
from infrastructure.cli.display import say, show_fields, show_json, show_table, to_the_second
from infrastructure.cli.failures import told
from infrastructure.cli.job_report import document
from infrastructure.cli.submit import finish, require_place

app = typer.Typer(no_args_is_help=True, help="Look at jobs, wait for them, steer them.")
app.add_typer(bulk.app, name="bulk")


@app.callback()
def group() -> None:
    """Look at jobs, wait for them, steer them."""


@app.command("list")
@told
def list_jobs(
    status: Annotated[
        list[str] | None, typer.Option(help="Only jobs in this state; may be repeated.")
    ] = None,
    tool: Annotated[str | None, typer.Option(help="Only jobs of this tool.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:VALUE", help="Only jobs with this label; may be repeated."),
    ] = None,
    workflow: Annotated[str | None, typer.Option(help="Only jobs of this workflow.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Jobs, newest first: your own, or the tenant's where your role sees them."""
    with open_client(data_dir) as client:
        conditions = {"status": status, "tool": tool, "label": label, "workflow_id": workflow}
        jobs = client.pages("/jobs", limit, **conditions)
    if as_json:
        show_json(jobs)
        return
    show_table(
        ("JOB", "TOOL", "STATUS", "CREATED", "INPUTS"),
        (
            (
                job["job_id"],
                job["tool"],
                job["status"],
                to_the_second(job["created_at"]),
                _names(job),
            )
            for job in jobs
        ),
    )


@app.command("show")
@told
def show_job(
    job_id: JobId,
    at: Annotated[
        str | None, typer.Option(help="As it was: a version (3), or a time with its offset.")
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="Show its history too.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """One job, as it is or as it was."""
    with open_client(data_dir) as client:
        job = client.query(f"/jobs/{segment(job_id)}", at=at)
        history = _history(client, job_id) if events else []
    if as_json:
        show_json({**job, "events": history} if events else job)
        return
    show_fields(_fields(job))
    if events:
        show_table(("POSITION", "WHEN", "WHAT", "WHO"), (_event(event) for event in history))


@app.command("watch")
@told
def watch_job(
    job_id: JobId,
    output: OutputPath = None,
    as_zip: AsZip = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Follow a job to its end; exits 1 unless it succeeds."""
    require_place(output, as_zip)
    with open_client(data_dir) as client:
        finish(client, job_id, output, as_json, as_zip=as_zip)


@app.command("report")
@told
def report_job(job_id: JobId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Why a job failed: its attempts, its log and its timeline, as one document (Markdown)."""
    with open_client(data_dir) as client:
        report = client.query(f"/jobs/{segment(job_id)}/report")
    if as_json:
        show_json(report)
    else:
        print(document(report))


@app.command("cancel")
@told
def cancel_job(job_id: JobId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Call a job off, whatever it is doing."""
    _steer(job_id, "cancel", data_dir, as_json)


@app.command("retry")
@told
def retry_job(job_id: JobId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Queue a failed or cancelled job again, with fresh attempts."""
    _steer(job_id, "retry", data_dir, as_json)


@app.command("priority")
@told
def prioritise_job(
    job_id: JobId,
    priority: Annotated[int, typer.Argument(help="From -100 to 100; a higher one goes first.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a job that waits go before or after others."""
    with open_client(data_dir) as client:
        accepted = client.patch(f"/jobs/{segment(job_id)}", {"priority": priority})
    if as_json:
        show_json(accepted)
    else:
        say(f"{accepted['job_id']}: priority {priority}")


def _steer(job_id: str, what: str, data_dir: DataDir, as_json: bool) -> None:
    with open_client(data_dir) as client:
        accepted = client.command(f"/jobs/{segment(job_id)}/{what}")
    if as_json:
        show_json(accepted)
    else:
        say(f"{accepted['job_id']}: {accepted['status']}")


def _history(client: Client, job_id: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = client.query(f"/jobs/{segment(job_id)}/events", after=after)
        events += page["items"]
        after = page["next_after"]
    return events


def _fields(job: dict[str, Any]) -> dict[str, object]:
    error = job["error"]
    return {
        "job": job["job_id"],
        "tool": f"{job['tool']} {job['tool_version']}",
        "status": job["status"],
        "attempt": f"{job['attempt']} of {job['attempts_max']}" if job["attempt"] else None,
        "progress": _progress(job),
        "error": f"{error['code']}: {error['message'] or '-'}" if error else None,
        "options": job["options"],
        "labels": job["labels"],
        "inputs": [file["name"] for file in job["inputs"]],
        "outputs": [output["url"] or output["name"] for output in job["outputs"]],
        "notes": job["notes"],
        "created": to_the_second(job["created_at"]),
        "started": to_the_second(job["started_at"]),
        "finished": to_the_second(job["finished_at"]),
        "due": to_the_second(job["due_at"]),
        "run budget": _seconds(job["timeout_seconds"]),
        "wait budget": _seconds(job["queue_seconds_max"]),
        "schedule": job["schedule_id"],
        "workflow": job["workflow_id"],
        "step": job["step"],
        "reused from": job["reused_from"],
        "expires": to_the_second(job["expires_at"]),
        "position": job["position"],
    }


def _event(event: dict[str, Any]) -> tuple[object, ...]:
    what = event["topic"].rpartition(".")[2]
    return (event["position"], to_the_second(event["occurred_at"]), what, event["actor"])


def _progress(job: dict[str, Any]) -> str | None:
    progress = job["progress"]
    return f"{progress['percent']:.0f} % {progress['message'] or ''}" if progress else None


def _names(job: dict[str, Any]) -> list[str]:
    return [file["name"] for file in job["inputs"]]


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:g} s"
