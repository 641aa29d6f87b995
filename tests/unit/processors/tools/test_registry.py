"""What this installation offers, plug-ins included."""

import dataclasses
import json
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import jsonschema_rs
import pytest

from processors.tools.base import (
    INTERFACE_VERSION,
    BaseTool,
    CorruptFile,
    DocumentedError,
    OutputFile,
    ToolInput,
    ToolOptions,
    ToolProcessingError,
    accepts,
)
from processors.tools.no_op import NoOp
from processors.tools.registry import (
    BUILT_INS,
    ENTRY_POINT_GROUP,
    Registry,
    ToolNotFound,
    ToolUnavailable,
    installed,
)

HERE = "tests.unit.processors.tools.test_registry"


class Plain(BaseTool[ToolOptions]):
    """A plug-in that is as small as one can be."""

    name = "plain"
    description = "For tests."
    version = "1.0.0"
    input_formats = ["text/plain"]  # noqa: RUF012 (as the manual shows it)
    output_formats = ["text/plain"]  # noqa: RUF012
    Options = ToolOptions

    async def process(self, input_data: ToolInput, options: ToolOptions) -> list[OutputFile]:
        return []


class Needy(Plain):
    """A tool whose library is not there."""

    name = "needy"
    modules = ("json", "library_that_nobody_has", "library.that.nobody.has")


class Heavy(Needy):
    """A tool whose library comes with an extra."""

    name = "heavy"
    extra = "media"


class Unfinished(Plain):
    """A plug-in that breaks when it is made."""

    name = "unfinished"

    def __init__(self) -> None:
        raise RuntimeError("not today")


def plug_in(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, ENTRY_POINT_GROUP)


def test_all_built_in_tools_are_available() -> None:
    offers = installed().offers()

    assert [offer.name for offer in offers] == sorted(tool.name for tool in BUILT_INS)
    # Where an extra could not be installed, its tools say which.
    extras = {tool.name for tool in BUILT_INS if tool.extra}
    assert all(offer.available for offer in offers if offer.name not in extras)
    lacking = [offer.unavailable_reason or "" for offer in offers if not offer.available]
    assert all("pip install" in reason for reason in lacking)
    assert {offer.name for offer in offers if offer.trusted} == {"checksum", "no-op"}


def test_offers_are_json_and_always_the_same() -> None:
    told = [json.dumps(dataclasses.asdict(offer)) for offer in installed().offers()]

    assert told == [json.dumps(dataclasses.asdict(offer)) for offer in installed().offers()]


@pytest.mark.parametrize("tool", BUILT_INS, ids=lambda tool: tool.name)
def test_a_file_alone_is_a_valid_request(tool: type[BaseTool[ToolOptions]]) -> None:
    schema = Registry([tool]).offers()[0].options_schema
    validator = jsonschema_rs.validator_for(schema)

    assert validator.is_valid({})
    assert not validator.is_valid({"no-such-option": 1})
    assert tool.limits.inputs_min <= 1 <= tool.limits.inputs_max
    assert tool.Options.model_validate({})


@pytest.mark.parametrize("tool", BUILT_INS, ids=lambda tool: tool.name)
def test_every_option_has_a_title_and_a_description(tool: type[BaseTool[ToolOptions]]) -> None:
    for field in tool.Options.model_fields.values():
        assert field.title
        assert field.description


def test_importing_the_registry_imports_no_heavy_library() -> None:
    heavy = {"PIL", "pikepdf", "pypdfium2", "python_calamine", "xlsxwriter", "asyncpg", "nats"}
    code = "import sys; from processors.tools.registry import installed; installed().offers();"

    result = subprocess.run(
        [sys.executable, "-c", f"{code} print(*sys.modules)"], capture_output=True, text=True
    )

    assert result.returncode == 0
    assert not heavy & set(result.stdout.split())


def test_a_plug_in_is_offered_like_any_other() -> None:
    registry = Registry([NoOp], [plug_in("plain", f"{HERE}:Plain")])

    assert [offer.name for offer in registry.offers()] == ["no-op", "plain"]
    assert registry.get("plain").description == "For tests."
    assert [tool.name for tool in registry.available()] == ["no-op", "plain"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:Tool", "ModuleNotFoundError"),
        (f"{HERE}:NoSuchTool", "AttributeError"),
        (f"{HERE}:Unfinished", "RuntimeError: not today"),
        (f"{HERE}:BaseTool", "TypeError"),
    ],
)
def test_a_broken_plug_in_is_unavailable_with_the_reason(value: str, reason: str) -> None:
    registry = Registry([NoOp], [plug_in("broken", value)])

    broken = registry.offers()[0]
    assert (broken.name, broken.available) == ("broken", False)
    assert reason in (broken.unavailable_reason or "")
    assert registry.get("no-op").name == "no-op"
    with pytest.raises(ToolUnavailable, match=reason):
        registry.get("broken")


def test_a_plug_in_cannot_take_the_name_of_another_tool() -> None:
    registry = Registry([NoOp], [plug_in("no-op", "processors.tools.no_op:NoOp")])

    assert [(offer.name, offer.available) for offer in registry.offers()] == [("no-op", True)]


def test_a_tool_without_its_library_is_unavailable_with_the_reason() -> None:
    registry = Registry([Needy])

    (offer,) = registry.offers()
    assert not offer.available
    assert offer.unavailable_reason == (
        "not installed: library_that_nobody_has, library.that.nobody.has"
    )
    with pytest.raises(ToolUnavailable):
        registry.get("needy")


def test_a_tool_without_its_extra_names_the_command_that_installs_it() -> None:
    (offer,) = Registry([Heavy]).offers()

    assert (offer.unavailable_reason or "").endswith("; pip install 'magictoolbox[media]'")


@pytest.mark.parametrize("tool", BUILT_INS, ids=lambda tool: tool.name)
def test_an_extra_that_a_tool_names_is_one_of_ours(tool: type[BaseTool[ToolOptions]]) -> None:
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())

    assert tool.extra is None or tool.extra in project["project"]["optional-dependencies"]


@pytest.mark.parametrize("tool", BUILT_INS, ids=lambda tool: tool.name)
def test_a_comparison_is_told_in_whole_sentences(tool: type[BaseTool[ToolOptions]]) -> None:
    for comparison in tool.compares_with:
        assert comparison.program
        assert comparison.command
        assert comparison.differs
        assert all(sentence.endswith(".") for sentence in comparison.differs)


def test_an_unknown_tool_is_not_found() -> None:
    with pytest.raises(ToolNotFound):
        Registry([NoOp]).get("nothing")


def test_media_types_may_be_patterns() -> None:
    assert accepts(["image/*"], "image/png")
    assert accepts(["*/*"], "text/plain")
    assert not accepts(["image/png"], "image/jpeg")
    assert not accepts([], "text/plain")


def all_documented() -> list[type[DocumentedError]]:
    return DocumentedError.__subclasses__()


@pytest.mark.parametrize("kind", all_documented(), ids=lambda kind: kind.__name__)
def test_an_error_says_in_its_class_what_it_means(kind: type[DocumentedError]) -> None:
    error = kind()

    assert error.code == kind.CODE == kind.CODE.upper()
    assert error.message.endswith(".")
    assert error.permanent is kind.PERMANENT


def test_an_error_may_say_it_in_its_own_words() -> None:
    error = CorruptFile("Page 3 is torn.", field="file", stack="…")

    assert str(error) == "CORRUPT_FILE: Page 3 is torn."
    assert (error.field, error.stack) == ("file", "…")
    assert ToolProcessingError().code == "TOOL_PROCESSING_ERROR"
    assert INTERFACE_VERSION == 1
