"""Calls one tool in the way every tool is called, wherever that is.

The options are checked before, what the tool left lying about is cleaned up after, and whatever
goes wrong comes out as a ToolProcessingError.
"""

import asyncio
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from processors.sandbox.run import ToolRun
from processors.tools.base import (
    BaseTool,
    DocumentedError,
    InvalidInputs,
    InvalidOptions,
    LogLine,
    Progress,
    ResourceLimitExceeded,
    ToolCrashed,
    ToolInput,
    ToolOptions,
    ToolProcessingError,
    ToolResult,
    not_logged,
)
from processors.tools.stacks import stack_of

LEFTOVERS_MAX = 1_000


class InputRefused(DocumentedError):
    """The tool does not take this input."""

    CODE = "INPUT_REFUSED"


async def execute(
    tool: BaseTool[Any], run: ToolRun, progress: Progress, log: LogLine = not_logged
) -> ToolResult:
    """Run a tool in this process; raises ToolProcessingError and nothing else."""
    with _as_tool_errors():
        options = parsed_options(tool, run.options)
        _check_count(tool, len(run.inputs))
        input_data = ToolInput(run.inputs, run.folder, progress, log)
        if not await tool.validate(input_data, options):
            raise InputRefused
        return await _process(tool, input_data, options)


def parsed_options(tool: BaseTool[Any], options: dict[str, Any]) -> ToolOptions:
    """The options in the tool's own model; raises InvalidOptions with the field at fault."""
    try:
        parsed: ToolOptions = tool.Options.model_validate(options)
    except ValidationError as error:
        # The values themselves stay out of the message: one may be a password.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidOptions(f"{field}: {first['msg']}", field=field) from None
    return parsed


def _check_count(tool: BaseTool[Any], count: int) -> None:
    if not tool.limits.inputs_min <= count <= tool.limits.inputs_max:
        raise InvalidInputs(
            f"{tool.name} takes {tool.limits.inputs_min} to {tool.limits.inputs_max} files,"
            f" not {count}."
        )


async def _process(tool: BaseTool[Any], input_data: ToolInput, options: ToolOptions) -> ToolResult:
    kept: Iterable[Path] = ()
    try:
        made = await tool.process(input_data, options)
        result = made if isinstance(made, ToolResult) else ToolResult(tuple(made))
        kept = [output.path for output in result.outputs]
    finally:
        if leftovers := _leftovers(input_data.folder, kept):
            await tool.cleanup(leftovers)
    return result


def _leftovers(folder: Path, kept: Iterable[Path]) -> list[str]:
    keep = {os.fspath(folder / path) for path in kept}
    found = []
    for parent, _, names in os.walk(folder):
        found += [path for name in names if (path := f"{parent}/{name}") not in keep]
        if len(found) > LEFTOVERS_MAX:
            break
    return found


@contextmanager
def _as_tool_errors() -> Iterator[None]:
    try:
        yield
    except ToolProcessingError:
        raise
    except MemoryError:
        raise ResourceLimitExceeded("The file needs more memory than the tool may use.") from None
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:
        # Also SystemExit, and the panics of libraries in Rust.
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            raise ResourceLimitExceeded("The tool made a file that is too large.") from None
        raise ToolCrashed(stack=stack_of(error)) from error
