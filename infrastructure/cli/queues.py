"""`magictoolbox queues` and `limits`: what waits, what may start, and how much at once."""

from typing import Annotated, Any

import typer

from infrastructure.cli.arguments import AsJson, DataDir
from infrastructure.cli.client import open_client, segment
from infrastructure.cli.display import say, show_json, show_table
from infrastructure.cli.failures import told

QueueName = Annotated[str, typer.Argument(help="The queue's name.", show_default=False)]

queues_app = typer.Typer(no_args_is_help=True, help="See queues, stop them, let them go on.")
limits_app = typer.Typer(no_args_is_help=True, help="Bound how much runs at once or starts.")


@queues_app.command("list")
@told
def list_queues(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """The tenant's queues: how much waits in each, since when, and what runs."""
    with open_client(data_dir) as client:
        queues = client.query("/queues")["items"]
    if as_json:
        show_json(queues)
        return
    show_table(
        ("QUEUE", "STATE", "WAITING", "SINCE", "RUNNING", "SCHEDULED", "RETRYING"),
        (
            (
                queue["name"],
                "paused" if queue["paused"] else "open",
                queue["depth"],
                _time(queue["oldest_at"]),
                queue["running"],
                queue["scheduled"],
                queue["retrying"],
            )
            for queue in queues
        ),
    )


@queues_app.command("pause")
@told
def pause_queue(queue: QueueName, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Start no job of it until it is resumed; what runs, runs on."""
    _steer(queue, "pause", data_dir, as_json)


@queues_app.command("resume")
@told
def resume_queue(queue: QueueName, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Let its jobs be started again."""
    _steer(queue, "resume", data_dir, as_json)


@limits_app.command("list")
@told
def list_limits(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """The tenant's limits."""
    with open_client(data_dir) as client:
        limits = client.query("/limits")["items"]
    if as_json:
        show_json(limits)
        return
    show_table(
        ("LIMIT", "SCOPE", "NAME", "AT ONCE", "STARTS"),
        (
            (limit["limit_id"], limit["scope"], limit["name"], limit["concurrency"], _rate(limit))
            for limit in limits
        ),
    )


@limits_app.command("set")
@told
def set_limit(
    scope: Annotated[str, typer.Argument(help="What it counts: tenant, tool or key.")],
    name: Annotated[
        str | None, typer.Argument(help="The tool or the limit key; no key: each by itself.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="So many at once.")] = None,
    rate: Annotated[int | None, typer.Option(help="So many starts in --per-seconds.")] = None,
    per_seconds: Annotated[float, typer.Option(help="The time that --rate is for.")] = 1.0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Limit all jobs of the tenant, those of a tool, or those with a limit key."""
    bounds = {"concurrency": concurrency, "rate": rate, "per_seconds": per_seconds}
    with open_client(data_dir) as client:
        accepted = client.put("/limits", {"scope": scope, "name": name, **bounds})
    _show_limit(accepted, as_json)


@limits_app.command("remove")
@told
def remove_limit(
    limit_id: Annotated[str, typer.Argument(help="Its id; see `limits list`.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Limit these jobs no more."""
    with open_client(data_dir) as client:
        accepted = client.delete(f"/limits/{segment(limit_id)}")
    _show_limit(accepted, as_json)


def _steer(queue: str, what: str, data_dir: DataDir, as_json: bool) -> None:
    with open_client(data_dir) as client:
        steered = client.command(f"/queues/{segment(queue)}/{what}")
    if as_json:
        show_json(steered)
    else:
        say(f"{steered['queue']}: {'paused' if steered['paused'] else 'open'}")


def _show_limit(accepted: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(accepted)
    else:
        say(accepted["limit_id"])


def _rate(limit: dict[str, Any]) -> str | None:
    return f"{limit['rate']} in {limit['per_seconds']:g} s" if limit["rate"] else None


def _time(text: str | None) -> str | None:
    return text[:19].replace("T", " ") if text else None
