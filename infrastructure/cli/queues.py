"""`magictoolbox queues` and `limits`: what waits, what may start, and how much at once."""

from typing import Annotated, Any

import typer

from infrastructure.cli import platform_limits
from infrastructure.cli.arguments import AsJson, DataDir
from infrastructure.cli.client import open_client, segment
from infrastructure.cli.display import say, show_json, show_table, to_the_second
from infrastructure.cli.failures import BadArgument, told

QueueName = Annotated[str, typer.Argument(help="The queue's name.", show_default=False)]
OfPlatform = Annotated[
    bool,
    typer.Option(
        "--platform", help="Of all tenants together; needs the database, see DATABASE_URL."
    ),
]
ToolName = Annotated[str | None, typer.Option("--tool", help="With --platform: the tool.")]

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
                to_the_second(queue["oldest_at"]),
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
def list_limits(
    platform: OfPlatform = False, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """The tenant's limits, or those over all tenants."""
    limits = platform_limits.list_limits() if platform else _limits_of_tenant(data_dir)
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
    scope: Annotated[
        str | None,
        typer.Argument(help="What it counts: tenant, tool or key.", show_default=False),
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help="The tool or the limit key; no key: each by itself.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="So many at once.")] = None,
    rate: Annotated[int | None, typer.Option(help="So many starts in --per-seconds.")] = None,
    per_seconds: Annotated[float, typer.Option(help="The time that --rate is for.")] = 1.0,
    platform: OfPlatform = False,
    tool: ToolName = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Limit all jobs of the tenant, those of a tool or a limit key; or a tool of all tenants."""
    bounds = {"concurrency": concurrency, "rate": rate, "per_seconds": per_seconds}
    if platform:
        accepted = platform_limits.set_limit(_only_tool(tool, scope or name), bounds)
    else:
        scope = _only_argument(scope, tool, "SCOPE")
        with open_client(data_dir) as client:
            accepted = client.put("/limits", {"scope": scope, "name": name, **bounds})
    _show_limit(accepted, as_json)


@limits_app.command("remove")
@told
def remove_limit(
    limit_id: Annotated[
        str | None, typer.Argument(help="Its id; see `limits list`.", show_default=False)
    ] = None,
    platform: OfPlatform = False,
    tool: ToolName = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Limit these jobs no more."""
    if platform:
        accepted = platform_limits.remove_limit(_only_tool(tool, limit_id))
    else:
        limit_id = _only_argument(limit_id, tool, "LIMIT_ID")
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


def _limits_of_tenant(data_dir: DataDir) -> list[dict[str, Any]]:
    with open_client(data_dir) as client:
        limits: list[dict[str, Any]] = client.query("/limits")["items"]
        return limits


def _only_tool(tool: str | None, argument: str | None) -> str:
    """The tool of a limit over all tenants, which has nothing else."""
    if tool is None or argument is not None:
        raise BadArgument("a limit of the platform is named by --tool NAME alone")
    return tool


def _only_argument(argument: str | None, tool: str | None, name: str) -> str:
    """What names a limit of the tenant."""
    if argument is None or tool is not None:
        raise BadArgument(f"a limit of the tenant needs {name}; --tool goes with --platform")
    return argument


def _show_limit(accepted: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(accepted)
    else:
        say(accepted["limit_id"])


def _rate(limit: dict[str, Any]) -> str | None:
    return f"{limit['rate']} in {limit['per_seconds']:g} s" if limit["rate"] else None
