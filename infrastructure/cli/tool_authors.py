"""`magictoolbox tools test|new`: for those who write tools; no server is needed."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from infrastructure.cli.display import say, show_fields, show_table
from infrastructure.cli.failures import EXIT_JOB_FAILED, BadArgument, told
from infrastructure.cli.submit import typed_options
from infrastructure.cli.tool_skeleton import skeleton
from infrastructure.logging import configure_logging

if TYPE_CHECKING:
    from processors.trial import Trial

MIB: Final = 1024**2


@told
def try_tool(
    tool: Annotated[str, typer.Argument(help="The tool, as package.module:Class.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files to run it on.", exists=True, dir_okay=False),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("-o", "--option", metavar="KEY=VALUE", help="An option of the tool."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="A folder for what it makes.", file_okay=False),
    ] = None,
) -> None:
    """Run a tool in the real sandbox, without servers, and check what it declares.

    Exits 0 when it ran to its end and nothing is wrong with it, else 1; 2 when there is no such
    tool.
    """
    # As `python -m` would: a package that is being written lies where its author is.
    sys.path.insert(0, str(Path.cwd()))
    from processors.trial import NoSuchTool, named, tried

    configure_logging("tools", "WARNING")
    try:
        schema = named(tool).Options.model_json_schema()
        options = typed_options(option or [], lambda: schema.get("properties", {}))
        trial = tried(tool, files or [], options)
    except NoSuchTool as error:
        raise BadArgument(str(error)) from error
    _show(trial)
    if output is not None:
        _keep(trial, output)
    if not trial.is_good:
        raise typer.Exit(EXIT_JOB_FAILED)


@told
def new_tool(
    name: Annotated[str, typer.Argument(help="Its name, in lower case with hyphens.")],
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where to; by default a folder of that name.")
    ] = None,
) -> None:
    """Write the package of a new tool that works, with its entry point and its test."""
    try:
        files = skeleton(name)
    except ValueError as error:
        raise BadArgument(str(error)) from error
    target = folder or Path(name)
    if target.exists() and any(target.iterdir()):
        raise BadArgument(f"{target} is not empty")
    for path, text in files.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text)
    say(f"{target} is ready; see its README.md")


def _show(trial: "Trial") -> None:
    limits = trial.tool.limits
    show_fields(
        {
            "tool": f"{trial.tool.name} {trial.tool.version}",
            "outcome": _outcome(trial),
            "time": f"{trial.seconds:.3f} s of {limits.wall_seconds:g} s",
            "memory": _memory(trial, limits.memory_bytes),
            "isolation": _isolation(trial),
            "notes": list(trial.notes),
        }
    )
    if trial.outputs:
        rows = ((each.name, each.media_type, len(each.content)) for each in trial.outputs)
        show_table(("OUTPUT", "TYPE", "BYTES"), rows)
    for problem in _problems(trial):
        say(f"error: {problem}")


def _outcome(trial: "Trial") -> str:
    if trial.missing:
        return "not run"
    if trial.error is None:
        return "succeeded"
    lasting = "permanent" if trial.error.permanent else "transient"
    return f"{trial.error.code} ({lasting})"


def _memory(trial: "Trial", most: int) -> str:
    if trial.peak_rss_bytes is None:
        return "unknown"
    return f"{trial.peak_rss_bytes / MIB:.0f} MiB of {most / MIB:.0f} MiB"


def _isolation(trial: "Trial") -> str:
    if trial.isolation is None:
        return "none"
    missing = "; ".join(trial.isolation.missing)
    return f"{trial.isolation.level}, missing: {missing}" if missing else trial.isolation.level


def _problems(trial: "Trial") -> Iterator[str]:
    yield from trial.flaws
    for name in trial.missing:
        yield f"not installed: {name}"
    if trial.error is not None:
        yield trial.error.message
        if trial.error.stack:
            yield trial.error.stack


def _keep(trial: "Trial", folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for made in trial.outputs:
        (folder / made.name).write_bytes(made.content)
