"""`magictoolbox jobs bulk`: cancel or retry many jobs, see how far these are, stop one."""

import time
from typing import Annotated, Any, Final

import typer

from infrastructure.cli.arguments import AsJson, DataDir
from infrastructure.cli.client import Client, open_client, segment
from infrastructure.cli.display import say, show_fields, show_json, show_table, to_the_second
from infrastructure.cli.failures import BadArgument, told

LOOK_SECONDS: Final = 0.5
NAMES: Final = ("bulk_id", "action", "status", "dry_run", "matched", "changed", "skipped")

BulkId = Annotated[str, typer.Argument(help="The bulk operation's id.", show_default=False)]
Status = Annotated[list[str] | None, typer.Option(help="Only jobs in this state; repeat it.")]
Tool = Annotated[str | None, typer.Option(help="Only jobs of this tool.")]
Queue = Annotated[str | None, typer.Option(help="Only jobs of this queue.")]
Label = Annotated[
    list[str] | None, typer.Option(metavar="NAME:VALUE", help="Only with this label; repeat it.")
]
ErrorCode = Annotated[str | None, typer.Option(help="Only jobs that ended with this code.")]
After = Annotated[str | None, typer.Option(help="Only jobs submitted after this time (ISO 8601).")]
Before = Annotated[str | None, typer.Option(help="Only jobs submitted before this time.")]
All = Annotated[bool, typer.Option("--all", help="Every job that it can be, without a filter.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count the jobs.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow it to its end.")]

app = typer.Typer(no_args_is_help=True, help="Cancel or retry many jobs at once.")


@app.callback()
def group() -> None:
    """Cancel or retry many jobs at once."""


def _command(action: str, what: str) -> None:
    @app.command(action, help=what)
    @told
    def run(
        status: Status = None,
        tool: Tool = None,
        queue: Queue = None,
        label: Label = None,
        error_code: ErrorCode = None,
        created_after: After = None,
        created_before: Before = None,
        everything: All = False,
        dry_run: DryRun = False,
        wait: Wait = False,
        data_dir: DataDir = None,
        as_json: AsJson = False,
    ) -> None:
        given = {
            "status": status,
            "tool": tool,
            "queue": queue,
            "label": label,
            "error_code": error_code,
            "created_after": created_after,
            "created_before": created_before,
        }
        wanted = {name: value for name, value in given.items() if value}
        if not wanted and not everything:
            raise BadArgument("say which jobs, or --all")
        with open_client(data_dir) as client:
            body = {"action": action, "filter": wanted, "dry_run": dry_run}
            accepted = client.command("/jobs/bulk", body)
            if wait:
                accepted = _followed(client, accepted, as_json)
        _show(accepted, as_json)


_command("cancel", "Call off all jobs that meet a filter.")
_command("retry", "Try all failed jobs again that meet a filter.")


@app.command("list")
@told
def list_bulk(
    status: Annotated[
        list[str] | None, typer.Option(help="Only operations in this state; repeat it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bulk operations, newest first: your own, or the tenant's where your role sees them."""
    with open_client(data_dir) as client:
        found = client.pages("/bulk", limit, status=status)
    if as_json:
        show_json(found)
        return
    show_table(
        ("BULK", "ACTION", "STATUS", "DRY RUN", "MATCHED", "CHANGED", "SKIPPED", "REQUESTED"),
        ((*(bulk[name] for name in NAMES), to_the_second(bulk["requested_at"])) for bulk in found),
    )


@app.command("show")
@told
def show_bulk(bulk_id: BulkId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """How far a bulk operation is."""
    with open_client(data_dir) as client:
        _show(client.query(f"/bulk/{segment(bulk_id)}"), as_json)


@app.command("stop")
@told
def stop_bulk(bulk_id: BulkId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Leave the rest of its jobs alone."""
    with open_client(data_dir) as client:
        _show(client.command(f"/bulk/{segment(bulk_id)}/cancel"), as_json)


def _followed(client: Client, accepted: dict[str, Any], as_json: bool) -> dict[str, Any]:
    path, position = f"/bulk/{accepted['bulk_id']}", accepted["position"]
    while True:
        seen = client.query(path, min_position=position)
        if seen["status"] != "running":
            return seen
        if not as_json:
            say(f"{seen['changed']} changed, {seen['skipped']} skipped")
        time.sleep(LOOK_SECONDS)


def _show(bulk: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(bulk)
        return
    show_fields({name.replace("_", " "): bulk[name] for name in NAMES})
