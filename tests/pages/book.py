"""Puts the pages together, and the list of them."""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from processors.outputs import collect
from processors.sandbox.execution import execute
from processors.sandbox.run import ToolRun
from processors.tools.base import InputFile
from processors.tools.registry import AnyTool, installed
from tests.pages import schema
from tests.pages.examples import Example, Given, examples
from tests.pages.preview import Preview

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "tools"
PICTURES: Final = "pictures"
SHOWN_MAX: Final = 3
NOT_ON_A_PAGE: Final = frozenset({"no-op"})
"""Does nothing, for probes and drills."""


def tools() -> list[AnyTool]:
    """The tools that have a page."""
    return [tool for tool in installed().available() if tool.name not in NOT_ON_A_PAGE]


def page(tool: AnyTool, outputs: list[Preview] | None = None) -> str:
    """The text of one tool's page; the example is run unless its outputs are given."""
    example = examples().get(tool.name)
    parts = [schema.head(tool), schema.options(tool)]
    if example is not None:
        made = run(tool, example) if outputs is None else outputs
        parts.append(_example(tool, example, made))
    parts.append(schema.comparison(tool))
    return "\n".join(part for part in parts if part)


def index() -> str:
    """The list of all tools."""
    lines = ["# Tools", "", "| tool | what it does | extra |", "|---|---|---|"]
    for tool in tools():
        extra = f"`{tool.extra}`" if tool.extra else ""
        lines.append(f"| [{tool.name}]({tool.name}.md) | {tool.description} | {extra} |")
    made = "Each page is made from what the tool declares and from a real run: `make docs`."
    return "\n".join([*lines, "", made, ""])


def write() -> None:
    """Write every page and every picture."""
    (FOLDER / PICTURES).mkdir(parents=True, exist_ok=True)
    for old in (*FOLDER.glob("*.md"), *(FOLDER / PICTURES).glob("*.png")):
        old.unlink()
    (FOLDER / "README.md").write_text(index())
    for tool in tools():
        example = examples().get(tool.name)
        outputs = run(tool, example) if example is not None else []
        (FOLDER / f"{tool.name}.md").write_text(page(tool, outputs))
        for number, shown in enumerate(_before(example)):
            shown.write_to(FOLDER / _picture(tool, "before", number))
        for number, shown in enumerate(outputs[:SHOWN_MAX]):
            shown.write_to(FOLDER / _picture(tool, "after", number))


def run(tool: AnyTool, example: Example) -> list[Preview]:
    """What the tool really makes of its example."""
    return asyncio.run(_run(tool, example))


async def _run(tool: AnyTool, example: Example) -> list[Preview]:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "work"
        folder.mkdir()
        inputs = tuple(_put(Path(root) / str(n), file) for n, file in enumerate(example.files))
        order = ToolRun(tool.name, example.options, inputs, folder, tool.limits)
        result = await execute(tool, order, lambda *_: None)
        outputs = collect(folder, result.outputs, tool.limits, tool.output_formats)
        return [Preview(o.name, o.media_type, o.path.read_bytes()) for o in outputs]


def _put(path: Path, file: Given) -> InputFile:
    path.write_bytes(file.content)
    return InputFile(path, file.name, file.media_type, len(file.content), "")


def _before(example: Example | None) -> list[Preview]:
    given = example.files[:SHOWN_MAX] if example is not None else ()
    return [Preview(file.name, file.media_type, file.content) for file in given]


def _example(tool: AnyTool, example: Example, outputs: list[Preview]) -> str:
    parts = ["## An example", "", "```", _command(tool, example), "```", "", "Before:", ""]
    for number, shown in enumerate(_before(example)):
        parts.append(shown.markdown(_picture(tool, "before", number)))
    parts += ["After:", ""]
    for number, shown in enumerate(outputs[:SHOWN_MAX]):
        parts.append(shown.markdown(_picture(tool, "after", number)))
    if len(outputs) > SHOWN_MAX:
        parts.append(f"… and {len(outputs) - SHOWN_MAX} more.\n")
    return "\n".join(parts)


def _command(tool: AnyTool, example: Example) -> str:
    names = " ".join(file.name for file in example.files)
    chosen = "".join(f" -o {name}={_word(value)}" for name, value in example.options.items())
    return f"magictoolbox submit {tool.name} {names}{chosen} --wait --output ."


def _word(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}'" if " " in text else text


def _picture(tool: AnyTool, when: str, number: int) -> str:
    return f"{PICTURES}/{tool.name}-{when}-{number + 1}.png"
