"""`magictoolbox workers`: which workers there are, and what they do."""

import typer

from infrastructure.cli.arguments import AsJson, DataDir
from infrastructure.cli.client import open_client
from infrastructure.cli.display import show_json, show_table
from infrastructure.cli.failures import told

app = typer.Typer(no_args_is_help=True, help="Which workers there are.")


@app.callback()
def group() -> None:
    """Which workers there are."""


@app.command("list")
@told
def list_workers(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Every worker that is there, and what it does."""
    with open_client(data_dir) as client:
        workers = client.query("/workers")["items"]
    if as_json:
        show_json(workers)
        return
    show_table(
        ("WORKER", "STATUS", "VERSION", "ISOLATION", "USED", "FREE", "HOST", "SEEN"),
        (
            (
                *(worker["worker"], worker["status"], worker["version"], worker["isolation"]),
                *(worker["used"], worker["free"], f"{worker['host']}:{worker['process']}"),
                worker["seen_at"][:19].replace("T", " "),
            )
            for worker in workers
        ),
    )
