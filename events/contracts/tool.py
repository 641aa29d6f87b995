"""The facts of a tool: that it exists, and what workers offer."""

from typing import Any, ClassVar
from uuid import UUID, uuid5

from events.contracts.fact import Fact, FirstFact

_TOOLS = UUID("6f2a8f0e-6d0b-5b5c-9a54-2f6f7b0d3c11")
"""The namespace of tool ids; permanent."""


def tool_id(name: str) -> UUID:
    """The id of the tool's aggregate: the same for everybody who knows the name."""
    return uuid5(_TOOLS, name)


class ToolIntroduced(FirstFact):
    """A tool of this name was offered for the first time."""

    TOPIC: ClassVar[str] = "magictoolbox.tool.introduced"

    name: str


class ToolOffered(Fact):
    """A worker offers the tool with this version and these options."""

    TOPIC: ClassVar[str] = "magictoolbox.tool.offered"

    version: str
    description: str
    input_formats: list[str]
    """Media types; `*/*` takes anything."""
    output_formats: list[str]
    inputs_min: int
    inputs_max: int
    options_schema: dict[str, Any]
    """JSON schema (draft 2020-12) of the options, with titles and defaults."""
    attempts_max: int
    timeout_seconds: float
    available: bool
    unavailable_reason: str | None
    """What is missing, and what would mend it."""
    cacheable: bool = False
    """Whether the same files and options always give the same outputs."""
    names_matter: bool = True
    """Whether the outputs depend on what the input files are called."""
    retry: dict[str, Any] | None = None
    """How its patience with transient failures differs from the default one."""
