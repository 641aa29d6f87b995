"""Checks what a tool declares, before it runs: what a catalogue, a form and a sandbox rely on."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from processors.tools.base import BaseTool, ToolLimits
from processors.tools.options import UNIT

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
NAME_LENGTH_MAX = 64
VERSION = re.compile(r"\d+(\.\d+){0,3}")
MEDIA_TYPE = re.compile(r"(\*/\*|[a-z]+/(\*|[a-z0-9][a-z0-9.+-]*))")
NUMBERS = frozenset({"integer", "number"})
LEVELS = ("L0", "L1", "L2", "L3")


def flaws_of(tool: BaseTool[Any]) -> list[str]:
    """What is wrong with a tool's declarations, in whole sentences; none for a sound one."""
    return [*_names(tool), *_formats(tool), *_limits(tool.limits), *_options(tool)]


def _names(tool: BaseTool[Any]) -> Iterator[str]:
    if NAME.fullmatch(tool.name) is None or len(tool.name) > NAME_LENGTH_MAX:
        yield f"The name {tool.name!r} is not in lower case with hyphens."
    if VERSION.fullmatch(tool.version) is None:
        yield f"The version {tool.version!r} is not made of numbers and dots."
    if not tool.description.strip():
        yield "The description is empty."
    if NAME.fullmatch(tool.group) is None:
        yield f"The group {tool.group!r} is not in lower case with hyphens."
    if tool.isolation_min not in LEVELS:
        yield f"The level {tool.isolation_min!r} is none of {', '.join(LEVELS)}."


def _formats(tool: BaseTool[Any]) -> Iterator[str]:
    for kind in (*tool.input_formats, *tool.output_formats):
        if MEDIA_TYPE.fullmatch(kind) is None:
            yield f"{kind!r} is no media type."
    if any("*" in kind for kind in tool.output_formats):
        yield "What a tool makes cannot be a pattern."
    if tool.limits.outputs_max > 0 and not tool.output_formats:
        yield "A tool that makes outputs has to say of which types."


def _limits(limits: ToolLimits) -> Iterator[str]:
    if not 0 <= limits.inputs_min <= limits.inputs_max:
        yield "inputs_min has to be at most inputs_max."
    positive = ("wall_seconds", "cpu_seconds", "memory_bytes", "file_bytes", "outputs_bytes")
    for name in (*positive, "attempts_max", "processes_max"):
        if getattr(limits, name) <= 0:
            yield f"{name} has to be more than nothing."


def _options(tool: BaseTool[Any]) -> Iterator[str]:
    try:
        tool.Options()
    except ValueError:
        yield "The options without any given are refused: each needs a default that is allowed."
    schema = tool.Options.model_json_schema()
    for name, field in schema.get("properties", {}).items():
        for flaw in _option(field, schema.get("$defs", {})):
            yield f"The option {name} has no {flaw}."


def _option(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    for part in ("title", "description", "examples"):
        if not field.get(part):
            yield part
    if "default" not in field:
        yield "default"
    if UNIT not in field and _is_number(field, definitions):
        yield f"unit, which a number needs (`json_schema_extra={{'{UNIT}': 'pixels'}}`)"


def _is_number(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    if "enum" in field or "const" in field:
        return False
    if field.get("type") in NUMBERS:
        return True
    choices = [*field.get("anyOf", ()), *field.get("allOf", ())]
    if name := field.get("$ref", "").rpartition("/")[2]:
        choices.append(definitions.get(name, {}))
    return any(_is_number(choice, definitions) for choice in choices)
