"""Tries one tool on files as a worker would, without any server: for the authors of tools.

The tool is named as `package.module:Class`. Its declarations are checked, its options parsed, and
it runs in the real sandbox, in a private folder that is removed afterwards.
"""

import asyncio
import hashlib
import importlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infrastructure.media_types import SNIFF_BYTES, MediaTypes
from processors.sandbox.run import Isolation, ToolOutcome, ToolRun
from processors.sandbox.runner import Sandbox
from processors.tools.base import BaseTool, InputFile, ToolProcessingError
from processors.tools.declarations import flaws_of
from processors.tools.registry import AnyTool, Registry, missing_parts
from processors.workspace import Workspace

VARIABLE: Final = "MAGICTOOLBOX_TRIED_TOOL"
REGISTRY: Final = "processors.trial:registry"
BLOCK_BYTES: Final = 1024**2


class NoSuchTool(Exception):
    """There is no tool of that name; it has to be named as `package.module:Class`."""


@dataclass(frozen=True, slots=True)
class Made:
    """An output."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a trial."""

    tool: AnyTool
    flaws: tuple[str, ...]
    """What is wrong with the tool's declarations."""
    missing: tuple[str, ...]
    """Modules and programs that it needs and that are not installed; it was not run then."""
    error: ToolProcessingError | None
    outputs: tuple[Made, ...]
    notes: tuple[str, ...]
    seconds: float
    peak_rss_bytes: int | None
    cpu_seconds: float | None
    isolation: Isolation | None

    @property
    def is_good(self) -> bool:
        """Whether the tool ran to its end and nothing is wrong with it."""
        return not (self.flaws or self.missing or self.error)


def named(source: str) -> AnyTool:
    """The tool that `package.module:Class` names; raises NoSuchTool."""
    module, _, name = source.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise NoSuchTool(f"{source}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, BaseTool)):
        raise NoSuchTool(f"{source} is no BaseTool")
    return found()


def registry() -> Registry:
    """The one tool that is tried, for the sandbox's own processes."""
    return Registry((type(named(os.environ[VARIABLE])),))


def tried(source: str, files: Sequence[Path], options: Mapping[str, Any]) -> Trial:
    """Try a tool; raises NoSuchTool."""
    tool = named(source)
    missing = tuple(missing_parts(tool))
    if missing:
        return _untold(tool, missing)
    os.environ[VARIABLE] = source
    return asyncio.run(_tried(tool, source, files, options))


def _untold(tool: AnyTool, missing: tuple[str, ...]) -> Trial:
    return Trial(tool, tuple(flaws_of(tool)), missing, None, (), (), 0.0, None, None, None)


async def _tried(
    tool: AnyTool, source: str, files: Sequence[Path], options: Mapping[str, Any]
) -> Trial:
    sandbox = Sandbox(REGISTRY, environment={VARIABLE: source})
    with tempfile.TemporaryDirectory(prefix="trial-") as root:
        try:
            async with Workspace(Path(root)) as workspace:
                await workspace.make()
                inputs = tuple([await _brought_in(workspace, path) for path in files])
                # As they come out of JSON, and nothing else.
                plain = json.loads(json.dumps(dict(options)))
                run = ToolRun(tool.name, plain, inputs, workspace.folder, tool.limits)
                return await _judged(tool, sandbox, run)
        finally:
            await sandbox.stop()


async def _judged(tool: AnyTool, sandbox: Sandbox, run: ToolRun) -> Trial:
    outcome: ToolOutcome | None = None
    error: ToolProcessingError | None = None
    loop = asyncio.get_running_loop()
    await sandbox.start()
    began = loop.time()
    try:
        outcome = await sandbox.run(run, lambda *_: None)
    except ToolProcessingError as refused:
        error = refused
    outputs = outcome.outputs if outcome else ()
    return Trial(
        tool=tool,
        flaws=tuple(flaws_of(tool)),
        missing=(),
        error=error,
        outputs=tuple(Made(o.name, o.media_type, o.path.read_bytes()) for o in outputs),
        notes=outcome.notes if outcome else (),
        seconds=loop.time() - began,
        peak_rss_bytes=run.observed.peak_rss_bytes,
        cpu_seconds=run.observed.cpu_seconds,
        isolation=sandbox.isolation,
    )


async def _brought_in(workspace: Workspace, path: Path) -> InputFile:
    content = await asyncio.to_thread(path.read_bytes)
    return await workspace.add(
        _blocks(content),
        filename=path.name,
        media_type=MediaTypes().of(content[:SNIFF_BYTES]),
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


async def _blocks(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), BLOCK_BYTES):
        yield content[at : at + BLOCK_BYTES]
