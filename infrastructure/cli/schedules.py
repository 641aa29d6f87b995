"""`magictoolbox schedules`: jobs that are submitted again and again, by a plan."""

from pathlib import Path
from typing import Annotated, Any

import typer

from infrastructure.cli.arguments import AsJson, DataDir
from infrastructure.cli.client import open_client, segment
from infrastructure.cli.display import say, show_fields, show_json, show_table, to_the_second
from infrastructure.cli.failures import told
from infrastructure.cli.submit import options_of

ScheduleId = Annotated[str, typer.Argument(help="The schedule's id.", show_default=False)]

app = typer.Typer(no_args_is_help=True, help="Submit jobs by a plan.")


@app.callback()
def group() -> None:
    """Submit jobs by a plan."""


@app.command("create")
@told
def create_schedule(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    tool: Annotated[str, typer.Argument(help="The tool's name; see `tools list`.")],
    cron: Annotated[
        str, typer.Option(help="Minute, hour, day, month, day of week: `30 6 * * MON-FRI`.")
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files that each of its jobs gets; some tools take none.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    time_zone: Annotated[str, typer.Option(help="Such as Europe/Vienna.")] = "UTC",
    missed: Annotated[
        str, typer.Option(help="Times that passed unfired: coalesce, catch_up or skip.")
    ] = "coalesce",
    option: Annotated[
        list[str] | None,
        typer.Option("-o", "--option", metavar="KEY=VALUE", help="An option of the tool."),
    ] = None,
    queue: Annotated[str, typer.Option(help="In which queue its jobs wait.")] = "default",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Submit a job by a plan, from the plan's next time on."""
    with open_client(data_dir) as client:
        options = options_of(client, tool, option or [])
        inputs = [{"upload_id": client.upload(path)} for path in files or []]
        job = {"tool": tool, "options": options, "inputs": inputs, "queue": queue}
        plan = {"cron": cron, "time_zone": time_zone, "missed": missed}
        kept = client.create("/schedules", {"name": name, **plan, "job": job})
    if as_json:
        show_json(kept)
        return
    say(f"created; magictoolbox schedules show {kept['schedule_id']}")
    print(kept["schedule_id"])


@app.command("list")
@told
def list_schedules(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Schedules, newest first: your own, or the tenant's where your role sees them."""
    with open_client(data_dir) as client:
        schedules = client.pages("/schedules", limit)
    if as_json:
        show_json(schedules)
        return
    show_table(
        ("SCHEDULE", "STATUS", "CRON", "ZONE", "TOOL", "NEXT", "NAME"),
        (_row(each) for each in schedules),
    )


@app.command("show")
@told
def show_schedule(
    schedule_id: ScheduleId, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """One schedule, with its next times and its latest jobs."""
    with open_client(data_dir) as client:
        schedule = client.query(f"/schedules/{segment(schedule_id)}")
    if as_json:
        show_json(schedule)
        return
    show_fields(_fields(schedule))
    if schedule["latest_jobs"]:
        show_table(
            ("JOB", "STATUS", "CREATED"),
            (
                (job["job_id"], job["status"], to_the_second(job["created_at"]))
                for job in schedule["latest_jobs"]
            ),
        )


@app.command("pause")
@told
def pause_schedule(
    schedule_id: ScheduleId, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Let it fire no more for a while."""
    with open_client(data_dir) as client:
        _show(client.command(f"/schedules/{segment(schedule_id)}/pause"), as_json)


@app.command("resume")
@told
def resume_schedule(
    schedule_id: ScheduleId, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Let it fire again, from its next time on."""
    with open_client(data_dir) as client:
        _show(client.command(f"/schedules/{segment(schedule_id)}/resume"), as_json)


@app.command("delete")
@told
def delete_schedule(
    schedule_id: ScheduleId, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """End it; the jobs that it submitted stay."""
    with open_client(data_dir) as client:
        _show(client.delete(f"/schedules/{segment(schedule_id)}"), as_json)


@app.command("fire")
@told
def fire_schedule(
    schedule_id: ScheduleId, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Submit its job now, whatever its plan says."""
    with open_client(data_dir) as client:
        job = client.create(f"/schedules/{segment(schedule_id)}/fire", {})
    if as_json:
        show_json(job)
        return
    say(f"accepted; magictoolbox jobs watch {job['job_id']}")
    print(job["job_id"])


def _show(kept: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(kept)
    else:
        say(f"{kept['schedule_id']}: {kept['status']}")


def _row(schedule: dict[str, Any]) -> tuple[object, ...]:
    plan = (schedule["status"], schedule["cron"], schedule["time_zone"], schedule["tool"])
    return (schedule["schedule_id"], *plan, to_the_second(schedule["next_at"]), schedule["name"])


def last_tick(skip: dict[str, Any] | None) -> str | None:
    """What became of the latest time of its plan, if it got no job."""
    if skip is None:
        return None
    when = f"{to_the_second(skip['tick'])} " if skip["tick"] else ""
    return f"{when}made no job: {skip['reason']}"


def _fields(schedule: dict[str, Any]) -> dict[str, object]:
    job = schedule["job"]
    return {
        "schedule": schedule["schedule_id"],
        "name": schedule["name"],
        "status": schedule["status"],
        "plan": f"{schedule['cron']}  {schedule['time_zone']}",
        "missed": schedule["missed"],
        "tool": job["tool"],
        "options": job["options"],
        "inputs": [file["name"] for file in job["inputs"]],
        "labels": job["labels"],
        "queue": job["queue"],
        "next": [to_the_second(each) for each in schedule["next_fires"]],
        "fired": schedule["fired"],
        "passed over": schedule["passed_over"],
        "last tick": last_tick(schedule["last_skip"]),
        "created": to_the_second(schedule["created_at"]),
        "position": schedule["position"],
    }
