"""Checks the options of a job against the schema that its tool published.

The tool's own code is not imported here and has the last word when the job runs; what a client can
learn at once, it learns at once. Messages name the rule and not the value, which may be a secret.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import orjson
from jsonschema_rs import Draft202012Validator, ValidationError

from command_api.errors import InvalidOptions

VALIDATORS_MAX: Final = 1_000
DETAILS_MAX: Final = 20
MESSAGE_CHARACTERS_MAX: Final = 300
VALUE_SHOWN_AS: Final = "the value"

Schema = Mapping[str, Any]


class OptionsValidators:
    """Compiled schemas, kept by tool and version."""

    def __init__(self) -> None:
        self._compiled: OrderedDict[tuple[str, str], tuple[Schema, Draft202012Validator]] = (
            OrderedDict()
        )

    def check(self, tool: str, version: str, schema: Schema, options: Mapping[str, Any]) -> None:
        """Raise InvalidOptions, which names every field at fault."""
        validator = self._validator(tool, version, schema)
        if validator.is_valid(options):
            return
        details = islice(_details(validator.iter_errors(options)), DETAILS_MAX)
        raise InvalidOptions(errors=list(details))

    def _validator(self, tool: str, version: str, schema: Schema) -> Draft202012Validator:
        known = self._compiled.get((tool, version))
        # One version should have one schema; if a worker changed it, the newest counts.
        if known is not None and known[0] is schema:
            return known[1]
        validator = Draft202012Validator(dict(schema), mask=VALUE_SHOWN_AS, offline=True)
        self._compiled[tool, version] = (schema, validator)
        if len(self._compiled) > VALIDATORS_MAX:
            self._compiled.popitem(last=False)
        return validator


def canonical(options: Mapping[str, Any]) -> str:
    """The one spelling of these options; raises InvalidOptions for what JSON cannot carry."""
    try:
        return orjson.dumps(options, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        # Integers beyond 64 bits and lone surrogates.
        raise InvalidOptions("The options hold a value that JSON cannot carry.") from None


def _details(errors: Iterable[ValidationError]) -> Iterator[dict[str, str]]:
    for error in errors:
        error = _plainest(error)
        for field in _fields(error):
            yield {
                "field": field,
                "message": _message(error)[:MESSAGE_CHARACTERS_MAX],
                "code": error.kind.name,
            }


def _message(error: ValidationError) -> str:
    kind: Any = error.kind
    if kind.name != "enum":
        return str(error.message)
    # The library names two of them and counts the rest; whoever asks wants to choose.
    allowed = ", ".join(orjson.dumps(value).decode() for value in kind.options)
    return f"{VALUE_SHOWN_AS} is none of {allowed}"


def _plainest(error: ValidationError) -> ValidationError:
    """Of an optional value (`anyOf` with null) the rule that it broke, not that it is not null."""
    branches: list[list[ValidationError]] = getattr(error.kind, "context", None) or []
    broken = (branch[0] for branch in branches if branch)
    return next((inner for inner in broken if inner.kind.name != "type"), error)


def _fields(error: ValidationError) -> list[str]:
    path = [str(part) for part in error.instance_path]
    kind: Any = error.kind
    if kind.name == "additionalProperties":
        return [".".join([*path, name]) for name in kind.unexpected]
    if kind.name == "required":
        path.append(kind.property)
    return [".".join(path) or "options"]
