"""`magictoolbox submit`: sends files to a tool, and waits for the result if that is wanted."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from infrastructure.cli.arguments import AsJson, AsZip, DataDir, OutputPath
from infrastructure.cli.client import Client, open_client, segment
from infrastructure.cli.display import say, show_json
from infrastructure.cli.failures import BadArgument, CommandFailed, told
from infrastructure.cli.job_waiting import (
    fetch_outputs,
    fetch_zip,
    require_success,
    say_state,
    wait_for_end,
)

TEXT: Final = "string"


@told
def submit(
    tool: Annotated[str, typer.Argument(help="The tool's name; see `tools list`.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files to send; some tools take none.", exists=True, dir_okay=False),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("-o", "--option", metavar="KEY=VALUE", help="An option of the tool."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end of the job.")] = False,
    reuse: Annotated[
        bool,
        typer.Option("--reuse/--no-reuse", help="Whether an earlier result of the same will do."),
    ] = True,
    output: OutputPath = None,
    as_zip: AsZip = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run a tool on files.

    Exits 0 when the job was accepted or, with --wait, succeeded; 1 when it ended otherwise; 2 for
    arguments that make no sense; 3 when the platform refuses; 4 when it cannot be reached.
    """
    require_place(output, as_zip)
    with open_client(data_dir) as client:
        options = options_of(client, tool, option or [])
        accepted = client.process(tool, files or [], options, reuse=reuse)
        if not wait and output is None:
            _show_accepted(accepted, as_json)
            return
        job_id = accepted["job_id"]
        if not as_json:
            say(f"job {job_id}")
        finish(client, job_id, output, as_json, as_zip=as_zip)


def require_place(output: Path | None, as_zip: bool) -> None:
    """Raise BadArgument if an archive is wanted and nobody says where."""
    if as_zip and output is None:
        raise BadArgument("--zip needs --output")


def finish(
    client: Client, job_id: str, output: Path | None, as_json: bool, *, as_zip: bool = False
) -> None:
    """Wait for the end of a job, show it, and fetch its result; raises JobNotSucceeded."""
    job = wait_for_end(client, job_id, (lambda job: None) if as_json else say_state)
    paths = []
    if output is not None and job["status"] == "succeeded":
        fetched = [fetch_zip(client, job, output)] if as_zip else fetch_outputs(client, job, output)
        paths = [str(path) for path in fetched]
    if as_json:
        show_json({**job, "paths": paths})
    else:
        for note in job["notes"]:
            say(f"note: {note}")
        for each in paths or [each["url"] for each in job["outputs"]]:
            print(each)
    require_success(job)


def options_of(client: Client, tool: str, given: list[str]) -> dict[str, Any]:
    """`key=value` as the tool wants it; see `typed_options`."""
    return typed_options(given, lambda: _schema(client, tool))


def typed_options(given: list[str], schema: Any) -> dict[str, Any]:
    """`key=value` as the tool wants it: text where its schema says so, else JSON if it is JSON."""
    if not given:
        return {}
    properties = schema()
    options: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise BadArgument(f"an option is KEY=VALUE, not {each}")
        options[name] = value if _is_text(properties.get(name)) else _as_json(value)
    return options


def _schema(client: Client, tool: str) -> Mapping[str, Any]:
    """The schemas of the tool's options by name; without them values are taken for what they look
    like, and the platform says what it thinks of that.
    """
    try:
        properties = client.query(f"/tools/{segment(tool)}")["options_schema"].get("properties", {})
    except CommandFailed:
        return {}
    return dict(properties)


def _is_text(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    choices = schema.get("anyOf", [schema])
    kinds = {each.get("type") for each in choices if isinstance(each, dict)} - {"null"}
    return kinds == {TEXT}


def _as_json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _show_accepted(accepted: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(accepted)
        return
    say(f"accepted; magictoolbox jobs watch {accepted['job_id']}")
    print(accepted["job_id"])
