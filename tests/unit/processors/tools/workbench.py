"""Runs a tool on bytes, with all the checks that a worker makes."""

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from processors.outputs import collect
from processors.sandbox.execution import execute
from processors.sandbox.run import ToolRun
from processors.tools.base import InputFile, ToolProcessingError
from processors.tools.registry import installed

REGISTRY = installed()


@dataclass(frozen=True)
class Given:
    """A file for a tool."""

    content: bytes
    filename: str = "photo.jpg"
    media_type: str = "image/jpeg"


@dataclass(frozen=True)
class Made:
    """What a tool made of it."""

    name: str
    media_type: str
    content: bytes
    notes: tuple[str, ...]

    @property
    def picture(self) -> Image.Image:
        """It as a picture, decoded."""
        picture = Image.open(io.BytesIO(self.content))
        picture.load()
        return picture

    @property
    def text(self) -> str:
        """It as a text."""
        return self.content.decode()


async def made(tool_name: str, *given: Given, **options: Any) -> Made:
    """The one output of a tool."""
    (output,) = await made_all(tool_name, *given, **options)
    return output


async def made_all(tool_name: str, *given: Given, **options: Any) -> list[Made]:
    """All outputs of a tool, in its order."""
    tool = REGISTRY.get(tool_name)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "work"
        folder.mkdir()
        inputs = tuple(_put(Path(root) / str(n), file) for n, file in enumerate(given))
        run = ToolRun(tool_name, options, inputs, folder, tool.limits)
        result = await execute(tool, run, lambda *_: None)
        outputs = collect(folder, result.outputs, tool.limits, tool.output_formats)
        assert {path.name for path in folder.iterdir()} == {o.path.name for o in outputs}
        return [Made(o.name, o.media_type, o.path.read_bytes(), result.notes) for o in outputs]


def _put(path: Path, file: Given) -> InputFile:
    path.write_bytes(file.content)
    path.chmod(0o400)
    return InputFile(path, file.filename, file.media_type, len(file.content), "")


async def refused(tool_name: str, *given: Given, **options: Any) -> ToolProcessingError:
    """The error with which a tool refuses its input for good."""
    with pytest.raises(ToolProcessingError) as caught:
        await made(tool_name, *given, **options)
    assert caught.value.permanent
    return caught.value
