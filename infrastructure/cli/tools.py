"""`magictoolbox tools`: what can be done with files."""

from typing import Annotated, Any

import typer

from infrastructure.cli.arguments import AsJson, DataDir
from infrastructure.cli.client import open_client, segment
from infrastructure.cli.display import show_fields, show_json, show_table
from infrastructure.cli.failures import told
from infrastructure.cli.tool_authors import new_tool, try_tool

app = typer.Typer(no_args_is_help=True, help="What can be done with files.")


app.command("test")(try_tool)
app.command("new")(new_tool)


@app.callback()
def group() -> None:
    """What can be done with files."""


@app.command("list")
@told
def list_tools(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Every tool that workers offer."""
    with open_client(data_dir) as client:
        tools = client.query("/tools")["items"]
    if as_json:
        show_json(tools)
        return
    show_table(
        ("TOOL", "AVAILABLE", "CACHED", "ATTEMPTS", "WHAT IT DOES"),
        (
            (
                *(tool["name"], tool["available"], tool["cacheable"], tool["attempts_max"]),
                tool["description"],
            )
            for tool in tools
        ),
    )


@app.command("show")
@told
def show_tool(
    tool: Annotated[str, typer.Argument(help="The tool's name.", show_default=False)],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """One tool with its options."""
    with open_client(data_dir) as client:
        found = client.query(f"/tools/{segment(tool)}")
    if as_json:
        show_json(found)
        return
    show_fields(
        {
            "tool": f"{found['name']} {found['version']}",
            "does": found["description"],
            "takes": found["input_formats"],
            "makes": found["output_formats"],
            "files": f"{found['inputs_min']} to {found['inputs_max']}",
            "results": "used again" if found["cacheable"] else "made anew each time",
            "attempts": _patience(found),
            "unavailable": found["unavailable_reason"],
        }
    )
    properties = found["options_schema"].get("properties", {})
    if properties:
        rows = (_option(name, schema) for name, schema in properties.items())
        show_table(("OPTION", "KIND", "DEFAULT", "MEANING"), rows)


def _patience(tool: dict[str, Any]) -> str:
    """How many attempts there are, and when."""
    text, retry = f"up to {tool['attempts_max']}", tool["retry"]
    if retry is None:
        return text
    text += (
        f", after {retry['first_seconds']:g} s, then {retry['factor']:g} times as long each time"
    )
    text += f", at most {retry['cap_seconds']:g} s"
    budget = retry["budget_seconds"]
    return text if budget is None else f"{text}; none begins after {budget:g} s"


def _option(name: str, schema: dict[str, Any]) -> tuple[object, ...]:
    meaning = schema.get("description") or schema.get("title")
    return (name, _kind(schema), schema.get("default"), meaning)


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(choice) for choice in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_kind(choice) for choice in schema["anyOf"])
    return str(schema.get("type") or schema.get("$ref", "").rpartition("/")[2] or "any")
