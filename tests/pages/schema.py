"""What a tool declares, as a page in Markdown."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from processors.tools.base import MIB, install_command
from processors.tools.registry import AnyTool

EXAMPLES_SHOWN_MAX: Final = 4
VALUE_CHARACTERS_MAX: Final = 60


def head(tool: AnyTool) -> str:
    """The name, what it does, what it takes and makes."""
    lines = [f"# {tool.name}", "", tool.description, "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in _facts(tool)]
    return "\n".join(lines) + "\n"


def options(tool: AnyTool) -> str:
    """Every option, as the catalogue publishes it."""
    schema = tool.Options.model_json_schema()
    fields = schema.get("properties", {})
    if not fields:
        return "## Options\n\nNone.\n"
    definitions = schema.get("$defs", {})
    lines = ["## Options", "", "| option | kind | default | for example | meaning |"]
    lines.append("|---|---|---|---|---|")
    lines += [_row(name, field, definitions) for name, field in fields.items()]
    return "\n".join(lines) + "\n"


def comparison(tool: AnyTool) -> str:
    """How it stands to what people use for this today."""
    if not tool.compares_with:
        return ""
    lines = ["## Compared with", "", "| program | the same there | what differs |", "|---|---|---|"]
    for each in tool.compares_with:
        differs = _cell(" ".join(each.differs))
        lines.append(f"| {each.program} | `{_cell(each.command)}` | {differs} |")
    return "\n".join(lines) + "\n"


def _facts(tool: AnyTool) -> Iterator[tuple[str, str]]:
    limits = tool.limits
    yield "takes", ", ".join(f"`{each}`" for each in tool.input_formats) or "no file"
    yield "makes", ", ".join(f"`{each}`" for each in tool.output_formats) or "nothing"
    yield "files in one job", _span(limits.inputs_min, limits.inputs_max)
    yield "files it may make", f"up to {limits.outputs_max}"
    yield "time", f"{limits.wall_seconds:g} s, of it {limits.cpu_seconds} s of one processor"
    yield "memory", f"{limits.memory_bytes // MIB} MiB"
    yield "largest output", f"{limits.file_bytes // MIB} MiB"
    yield "attempts", str(limits.attempts_max)
    if tool.isolation_min != "L0":
        yield "isolation", f"at least {tool.isolation_min}"
    if tool.extra:
        yield "needs", f"`{install_command(tool.extra)}`"
    yield "version", tool.version


def _span(least: int, most: int) -> str:
    return str(most) if least == most else f"{least} to {most}"


def _row(name: str, field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    shown = [_value(example) for example in field.get("examples", ())[:EXAMPLES_SHOWN_MAX]]
    cells = (
        f"`{name}`",
        _kind(field, definitions),
        _value(field["default"]) if field.get("default") is not None else "",
        ", ".join(shown),
        f"**{field.get('title', name)}.** {field.get('description', '')}",
    )
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _kind(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if name := field.get("$ref", "").rpartition("/")[2]:
        return _kind(definitions[name], definitions)
    if "enum" in field:
        return "one of " + ", ".join(_value(value) for value in field["enum"])
    if "const" in field:
        return _value(field["const"])
    choices = [c for c in field.get("anyOf", ()) if c.get("type") != "null"]
    if choices:
        return " or ".join(_kind({**field, "anyOf": (), **c}, definitions) for c in choices)
    return " ".join(filter(None, (_type(field), _bounds(field), field.get("unit", ""))))


def _type(field: Mapping[str, Any]) -> str:
    if field.get("format") == "password":
        return "secret"
    names = {"integer": "whole number", "boolean": "yes or no", "string": "text", "array": "list"}
    return names.get(field.get("type", ""), field.get("type", "any"))


def _bounds(field: Mapping[str, Any]) -> str:
    least = field.get("minimum", field.get("exclusiveMinimum"))
    most = field.get("maximum", field.get("exclusiveMaximum"))
    if least is None and most is None:
        return ""
    if most is None:
        return f"from {least:g}"
    return f"{least:g} to {most:g}" if least is not None else f"up to {most:g}"


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text[:VALUE_CHARACTERS_MAX]}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
