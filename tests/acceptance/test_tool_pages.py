"""Every tool has a page that says what the tool declares and shows a real run."""

import re

import pytest

from processors.tools.registry import AnyTool
from tests.pages import book, schema
from tests.pages.examples import examples

PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")


@pytest.mark.parametrize("tool", book.tools(), ids=lambda tool: tool.name)
def test_a_page_says_what_its_tool_declares(tool: AnyTool) -> None:
    written = (book.FOLDER / f"{tool.name}.md").read_text()

    assert written.startswith(schema.head(tool)), "make docs"
    assert schema.options(tool) in written, "make docs"
    assert schema.comparison(tool) in written, "make docs"
    assert "## Compared with" in written


@pytest.mark.parametrize("tool", book.tools(), ids=lambda tool: tool.name)
def test_a_page_shows_before_and_after(tool: AnyTool) -> None:
    written = (book.FOLDER / f"{tool.name}.md").read_text()

    assert tool.name in examples()
    assert "Before:" in written
    assert "After:" in written
    for picture in PICTURE.findall(written):
        assert (book.FOLDER / picture).stat().st_size > 0


def test_the_list_names_every_tool() -> None:
    assert (book.FOLDER / "README.md").read_text() == book.index(), "make docs"
