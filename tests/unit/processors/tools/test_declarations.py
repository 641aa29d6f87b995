"""What every tool declares, and what the check of declarations finds."""

from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field, SecretStr

from processors.tools.base import BaseTool, OutputFile, ToolInput, ToolLimits, ToolOptions
from processors.tools.declarations import flaws_of
from processors.tools.options import NO_UNIT, option, secret
from processors.tools.registry import AnyTool, installed

TOOLS = installed().available()


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_tool_says_all_that_a_form_and_a_sandbox_need(tool: AnyTool) -> None:
    assert flaws_of(tool) == []


class GoodOptions(ToolOptions):
    """All that an option may be."""

    level: int = option(
        3, title="Level", description="How much.", examples=[5], unit=NO_UNIT, ge=1, le=9
    )
    width: float | None = option(
        None, title="Width", description="How wide.", examples=[2.5], unit="cm"
    )
    kind: Literal["a", "b"] | None = Field(default=None, title="Kind", description="Which.")
    loud: bool = Field(default=False, title="Loud", description="Whether it is loud.")
    password: SecretStr = secret(title="Password", description="What opens it.")


class Sound(BaseTool[ToolOptions]):
    name = "sound-tool"
    description = "For tests."
    version = "1.0"
    input_formats: ClassVar[list[str]] = ["image/*", "text/plain"]
    output_formats: ClassVar[list[str]] = ["application/vnd.oasis.opendocument.text"]
    Options: type[ToolOptions] = GoodOptions

    async def process(self, input_data: ToolInput, options: ToolOptions) -> list[OutputFile]:
        return []


class BadOptions(ToolOptions):
    count: int = Field(default=0)
    size: float | None = Field(default=None, title="Size", description="How large.", examples=[1])
    must: str = Field(title="Must", description="Has to be given.", examples=["x"])


@pytest.mark.parametrize(
    ("changes", "flaws"),
    [
        ({}, ()),
        ({"name": "Bad_Name"}, ("'Bad_Name'",)),
        ({"version": "one"}, ("'one'",)),
        ({"description": " "}, ("description",)),
        ({"group": "a group"}, ("'a group'",)),
        ({"isolation_min": "L9"}, ("'L9'",)),
        ({"input_formats": ["png"]}, ("'png'",)),
        ({"output_formats": ["image/*"]}, ("pattern",)),
        ({"output_formats": []}, ("which types",)),
        ({"limits": ToolLimits(inputs_min=2, inputs_max=1)}, ("inputs_min",)),
        ({"limits": ToolLimits(wall_seconds=0)}, ("wall_seconds",)),
        (
            {"Options": BadOptions},
            (
                *("default that is allowed", "count has no description", "count has no examples"),
                *("count has no unit", "size has no unit", "must has no default"),
            ),
        ),
    ],
    ids=lambda value: next(iter(value), "sound") if isinstance(value, dict) else "",
)
def test_a_flaw_is_named(changes: dict[str, Any], flaws: tuple[str, ...]) -> None:
    tool = type("Changed", (Sound,), changes)()

    found = flaws_of(tool)

    assert len(found) == len(flaws)
    for flaw, words in zip(found, flaws, strict=True):
        assert words in flaw


def test_the_schema_is_fit_to_draw_a_form_from() -> None:
    fields = GoodOptions.model_json_schema()["properties"]

    assert fields["level"] == {
        **{"title": "Level", "description": "How much.", "type": "integer", "default": 3},
        **{"minimum": 1, "maximum": 9, "examples": [5], "unit": ""},
    }
    assert fields["width"]["unit"] == "cm"
    assert fields["kind"]["examples"] == ["a", "b"]
    assert fields["loud"]["examples"] == [True, False]
    password = fields["password"]
    assert (password["writeOnly"], password["format"]) == (True, "password")
    assert password["default"] == ""
