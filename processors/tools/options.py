"""Options of tools as people see them: what a form needs to know of each.

`option` is pydantic's `Field` with nothing optional that a form needs. An option's schema carries
its title, its description, its default, examples and, where it is a number, its unit.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import Field, SecretStr

UNIT = "unit"
NO_UNIT = ""
"""The unit of a number that counts nothing, such as a level or a factor."""


def option(
    default: Any,
    *,
    title: str,
    description: str,
    examples: Sequence[Any],
    unit: str | None = None,
    **rules: Any,
) -> Any:
    """A field of a tool's options; `rules` are those of pydantic, such as `ge` and `max_length`.

    `unit` is what a number is in (`pixels`, `seconds`), in words that a form can show behind it.
    """
    extra: dict[str, Any] = {} if unit is None else {UNIT: unit}
    return Field(
        default=default,
        title=title,
        description=description,
        examples=list(examples),
        json_schema_extra=extra,
        **rules,
    )


def secret(*, title: str, description: str, max_length: int = 1_000) -> Any:
    """A field of type `SecretStr`, empty by default: a password, sealed until the job ends.

    No API returns it, no log, event or export holds it in the clear, and it is destroyed when the
    job ends; see docs/tool-kit.md.
    """
    return Field(
        default=SecretStr(""),
        title=title,
        description=description,
        examples=["correct horse battery staple"],
        max_length=max_length,
    )
