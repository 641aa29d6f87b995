"""The files of a new tool's package, as `magictoolbox tools new` writes them."""

import re
from collections.abc import Mapping
from typing import Final

NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
NAME_LENGTH_MAX: Final = 64

PYPROJECT: Final = """\
[build-system]
requires = ["setuptools>=80"]
build-backend = "setuptools.build_meta"

[project]
name = "magictoolbox-{name}"
version = "0.1.0"
description = "The tool {name} for MagicToolbox."
requires-python = ">=3.11"
dependencies = ["magictoolbox"]

[project.entry-points."magictoolbox.tools"]
{name} = "{module}:{cls}"

[tool.setuptools]
packages = ["{module}"]
"""

TOOL: Final = '''\
"""{title}: says here in one sentence what the tool does."""

from typing import ClassVar

from processors.tools.base import (
    BaseTool,
    CorruptFile,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
)
from processors.tools.filenames import output_name
from processors.tools.options import option


class {cls}Options(ToolOptions):
    """What a caller may choose; a file alone is a valid request."""

    prefix: str = option(
        "> ",
        title="Prefix",
        description="What every line begins with.",
        examples=["- "],
        max_length=100,
    )


class {cls}(BaseTool[{cls}Options]):
    """Puts something before every line of a text."""

    name = "{name}"
    description = "Puts something before every line of a text."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = ["text/*"]
    output_formats: ClassVar[list[str]] = ["text/plain"]
    limits = ToolLimits(wall_seconds=30.0)
    Options = {cls}Options

    async def process(
        self,
        input_data: ToolInput,
        options: {cls}Options,
    ) -> list[OutputFile]:
        """Write the new text."""
        (file,) = input_data.files
        try:
            lines = file.path.read_text("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise CorruptFile("The text is not UTF-8.") from error
        path = input_data.folder / "output"
        path.write_text("".join(f"{{options.prefix}}{{line}}\\n" for line in lines), "utf-8")
        return [OutputFile(output_name(input_data.files, ".txt"), path, "text/plain")]
'''

TEST: Final = '''\
"""Tries the tool in the real sandbox."""

from pathlib import Path

from processors.trial import tried

SOURCE = "{module}:{cls}"


def test_every_line_gets_the_prefix(tmp_path: Path) -> None:
    sample = tmp_path / "sample.txt"
    sample.write_text("one\\ntwo\\n")

    trial = tried(SOURCE, [sample], {{"prefix": "* "}})

    assert trial.is_good, (trial.flaws, trial.missing, trial.error)
    (output,) = trial.outputs
    assert (output.name, output.content) == ("sample.txt", b"* one\\n* two\\n")


def test_bytes_that_are_no_text_are_refused_by_a_code(tmp_path: Path) -> None:
    sample = tmp_path / "sample.txt"
    sample.write_bytes(b"text and \\xff\\xfe then none")

    trial = tried(SOURCE, [sample], {{}})

    assert trial.error is not None
    assert trial.error.code in {{"CORRUPT_FILE", "UNSUPPORTED_MEDIA_TYPE"}}
'''

README: Final = """\
# {name}

A tool for MagicToolbox.

    pip install -e .
    magictoolbox tools test {module}:{cls} README.md -o prefix='* '
    pytest

A worker finds it by its entry point when it starts.
"""


def skeleton(name: str) -> Mapping[str, str]:
    """The files of a package for a tool of that name, by path; raises ValueError."""
    if NAME.fullmatch(name) is None or len(name) > NAME_LENGTH_MAX:
        raise ValueError(f"a tool is named in lower case with hyphens, not {name!r}")
    words = name.split("-")
    values = {
        "name": name,
        "module": "_".join(words),
        "cls": "".join(word.capitalize() for word in words),
        "title": " ".join(words).capitalize(),
    }
    templates = {
        "README.md": README,
        "pyproject.toml": PYPROJECT,
        f"{values['module']}/__init__.py": TOOL,
        f"tests/test_{values['module']}.py": TEST,
    }
    return {path: template.format(**values) for path, template in templates.items()}
