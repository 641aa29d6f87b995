"""Makes docs/configuration.md and .env.example from the settings models, so that they cannot lie.

`make docs` writes both files; a test compares them with what the models say.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from infrastructure.settings import Fragment

MODULES: Final = (
    "infrastructure.settings",
    "events.relay.settings",
    "command_api.settings",
    "query_api.settings",
    "processors.settings",
    "projectors.settings",
)
ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "configuration.md"
EXAMPLE: Final = ROOT / ".env.example"

HEAD: Final = """\
# Configuration

Every process reads its settings once, at its start, from environment variables or a `.env` file
in its working folder, and refuses to start on a value that cannot work, naming it. Names are the
same for every process; each takes what it needs. `magictoolbox up` sets all of this by itself; an
external server is used as soon as its URL is set.

This page and `.env.example` are made from the settings models by `make docs`.
"""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable."""

    name: str
    kind: str
    default: str
    description: str
    required: bool


def variables() -> Iterator[tuple[str, list[Variable]]]:
    """Each fragment's purpose with the variables that it declares itself."""
    for fragment in _fragments():
        own = [name for name in fragment.__annotations__ if name in fragment.model_fields]
        if own:
            purpose = (fragment.__doc__ or "").strip().splitlines()[0]
            yield purpose, [_variable(name, fragment.model_fields[name]) for name in own]


def page() -> str:
    """The text of docs/configuration.md."""
    parts = [HEAD]
    for purpose, found in variables():
        parts.append(f"\n## {purpose.rstrip('.')}\n\n| variable | kind | default | meaning |\n")
        parts.append("|---|---|---|---|\n")
        parts.extend(f"| `{v.name}` | {v.kind} | {_shown(v)} | {v.description} |\n" for v in found)
    return "".join(parts)


def example() -> str:
    """The text of .env.example."""
    parts = ["# Copy to `.env` and fill in. What is commented out shows the default.\n"]
    for purpose, found in variables():
        parts.append(f"\n# {purpose}\n")
        for variable in found:
            mark = "" if variable.required else "# "
            parts.append(f"{mark}{variable.name}={variable.default}\n")
    return "".join(parts)


def write() -> None:
    """Write both files."""
    PAGE.write_text(page())
    EXAMPLE.write_text(example())


def _fragments() -> Iterator[type[Fragment]]:
    """The fragments in the order in which they are written, whatever was imported first."""
    for name in MODULES:
        if importlib.util.find_spec(name) is None:
            continue
        for value in vars(importlib.import_module(name)).values():
            is_fragment = isinstance(value, type) and issubclass(value, Fragment)
            if is_fragment and value.__module__ == name and value is not Fragment:
                yield value


def _variable(name: str, field: FieldInfo) -> Variable:
    required = field.default is PydanticUndefined and field.default_factory is None
    default = "" if required or field.default in (None, PydanticUndefined) else str(field.default)
    return Variable(
        name=name.upper(),
        kind=_kind(field.annotation),
        default=default,
        description=field.description or "",
        required=required,
    )


def _kind(annotation: Any) -> str:
    choices = [arg for arg in get_args(annotation) if arg is not type(None)]
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in choices)
    if choices:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in choices))
    names = {int: "whole number", float: "number", bool: "yes or no", SecretStr: "secret"}
    if annotation in names:
        return names[annotation]
    return "URL" if "Dsn" in getattr(annotation, "__name__", "") else "text"


def _shown(variable: Variable) -> str:
    if variable.required:
        return "**required**"
    return f"`{variable.default}`" if variable.default else "unset"


if __name__ == "__main__":
    write()
