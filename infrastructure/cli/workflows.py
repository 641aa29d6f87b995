"""`magictoolbox workflows`: submit steps that wait for each other, follow them, steer them."""

import json
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from infrastructure.cli.arguments import AsJson, DataDir
from infrastructure.cli.client import Client, open_client, segment
from infrastructure.cli.display import say, show_fields, show_json, show_table, to_the_second
from infrastructure.cli.failures import BadArgument, JobNotSucceeded, told
from infrastructure.cli.workflow_files import files_of, put_uploads, require_same_names

LOOK_SECONDS: Final = 0.5
BATCH_KEY: Final = "jobs"
"""A document with this key is a batch; a workflow has `steps`."""

WorkflowId = Annotated[str, typer.Argument(help="The workflow's id.", show_default=False)]

app = typer.Typer(no_args_is_help=True, help="Run jobs that wait for each other.")


class WorkflowNotSucceeded(JobNotSucceeded):
    """The workflow ended without success; what it says was told already."""


@app.callback()
def group() -> None:
    """Run jobs that wait for each other."""


@app.command("submit")
@told
def submit_workflow(
    file: Annotated[
        Path,
        typer.Argument(
            help="A JSON document with `steps` or, for a batch, `jobs`; see docs/workflows.md.",
            exists=True,
            dir_okay=False,
        ),
    ],
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME=FILE",
            help='A file to send for `{"input": NAME}` in the document; several of one name '
            "follow each other; repeat it.",
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Submit a workflow or a batch, with the files that it names."""
    body = _document(file)
    files = files_of(given or [])
    require_same_names(body, files)
    with open_client(data_dir) as client:
        put_uploads(body, files, client.upload)
        accepted = client.create("/batches" if BATCH_KEY in body else "/workflows", body)
    if as_json:
        show_json(accepted)
        return
    say(f"accepted; magictoolbox workflows watch {accepted['workflow_id']}")
    print(accepted["workflow_id"])


@app.command("list")
@told
def list_workflows(
    status: Annotated[
        list[str] | None, typer.Option(help="Only workflows in this state; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Workflows, newest first: your own, or the tenant's where your role sees them."""
    with open_client(data_dir) as client:
        workflows = client.pages("/workflows", limit, status=status)
    if as_json:
        show_json(workflows)
        return
    show_table(
        ("WORKFLOW", "KIND", "STATUS", "STEPS", "CREATED", "NAME"),
        (
            (
                *(each["workflow_id"], each["kind"], each["status"], _steps(each)),
                *(to_the_second(each["created_at"]), each["name"]),
            )
            for each in workflows
        ),
    )


@app.command("show")
@told
def show_workflow(
    workflow_id: WorkflowId, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """One workflow, with the state of every step."""
    with open_client(data_dir) as client:
        workflow = client.query(f"/workflows/{segment(workflow_id)}")
    if as_json:
        show_json(workflow)
    else:
        _show(workflow)


@app.command("watch")
@told
def watch_workflow(
    workflow_id: WorkflowId, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Follow a workflow to its end; exits 1 unless it succeeds."""
    with open_client(data_dir) as client:
        workflow = _followed(client, workflow_id, as_json)
    if as_json:
        show_json(workflow)
    else:
        _show(workflow)
    if workflow["status"] != "succeeded":
        raise WorkflowNotSucceeded(f"the workflow {workflow['status']}")


@app.command("cancel")
@told
def cancel_workflow(
    workflow_id: WorkflowId, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Call a workflow off: nothing more starts, and what runs is called off too."""
    with open_client(data_dir) as client:
        _steered(client.command(f"/workflows/{segment(workflow_id)}/cancel"), as_json)


@app.command("retry")
@told
def retry_workflow(
    workflow_id: WorkflowId,
    from_step: Annotated[
        str | None,
        typer.Option("--from", help="Run this step and all after it again, too; `*`: every step."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Run all jobs of these steps, also what succeeded.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run again what did not succeed of a workflow that failed or was cancelled."""
    body = {"from_step": from_step, "whole_steps": whole} if from_step or whole else None
    with open_client(data_dir) as client:
        _steered(client.command(f"/workflows/{segment(workflow_id)}/retry", body), as_json)


def _document(file: Path) -> dict[str, Any]:
    try:
        body = json.loads(file.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise BadArgument(f"{file} is no JSON document: {error}") from None
    if not isinstance(body, dict):
        raise BadArgument(f"{file} holds no JSON object")
    return body


def _followed(client: Client, workflow_id: str, as_json: bool) -> dict[str, Any]:
    seen = -1
    while True:
        workflow = client.query(f"/workflows/{segment(workflow_id)}")
        if workflow["version"] != seen and not as_json:
            say(f"{workflow['status']}, {_steps(workflow)} steps ended")
        seen = workflow["version"]
        if workflow["status"] != "running":
            return workflow
        time.sleep(LOOK_SECONDS)


def _steered(accepted: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(accepted)
    else:
        say(f"{accepted['workflow_id']}: {accepted['status']}")


def _show(workflow: dict[str, Any]) -> None:
    show_fields(_fields(workflow))
    show_table(("STEP", "TOOL", "STATUS", "JOBS", "ENDED", "WHY"), map(_row, workflow["steps"]))


def _fields(workflow: dict[str, Any]) -> dict[str, object]:
    return {
        "workflow": workflow["workflow_id"],
        "kind": workflow["kind"],
        "name": workflow["name"],
        "status": workflow["status"],
        "round": workflow["round"],
        "steps ended": _steps(workflow),
        "on failure": workflow["on_failure"],
        "labels": workflow["labels"],
        "created": to_the_second(workflow["created_at"]),
        "ended": to_the_second(workflow["ended_at"]),
        "position": workflow["position"],
    }


def _row(step: dict[str, Any]) -> tuple[object, ...]:
    ended = sum(job["ended"] is not None for job in step["jobs"])
    jobs = f"{ended} of {len(step['jobs'])}" if step["jobs"] else None
    time_ended = to_the_second(step["ended_at"])
    return (step["id"], step["tool"], step["status"], jobs, time_ended, step["code"])


def _steps(workflow: dict[str, Any]) -> str:
    counts = workflow["counts"]
    ended = sum(count for name, count in counts.items() if name.startswith("steps_"))
    return f"{ended} of {counts['steps']}"
