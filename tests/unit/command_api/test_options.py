"""Options against a published schema: every field at fault is named, no value is told."""

from typing import Any

import pytest

from command_api.errors import InvalidOptions
from command_api.options import DETAILS_MAX, OptionsValidators, canonical

SCHEMA = {
    "type": "object",
    "$defs": {"Page": {"type": "object", "properties": {"number": {"type": "integer"}}}},
    "properties": {
        "format": {"enum": ["webp", "png"]},
        "width": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        "pages": {"type": "array", "items": {"$ref": "#/$defs/Page"}},
        "password": {"type": "string", "minLength": 20},
    },
    "required": ["format"],
    "additionalProperties": False,
}


def errors_of(options: dict[str, Any], schema: dict[str, Any] = SCHEMA) -> list[dict[str, str]]:
    """What is refused about these options."""
    try:
        OptionsValidators().check("tool", "1", schema, options)
    except InvalidOptions as refused:
        errors: list[dict[str, str]] = refused.details["errors"]
        return errors
    return []


@pytest.mark.parametrize(
    "options",
    [{"format": "png"}, {"format": "png", "width": None}, {"format": "png", "pages": []}],
)
def test_options_that_fit_are_taken(options: dict[str, Any]) -> None:
    assert errors_of(options) == []


@pytest.mark.parametrize(
    ("options", "field", "code"),
    [
        ({"format": "gif"}, "format", "enum"),
        ({}, "format", "required"),
        ({"format": "png", "colour": 1}, "colour", "additionalProperties"),
        ({"format": "png", "width": 0}, "width", "minimum"),
        ({"format": "png", "width": "wide"}, "width", "anyOf"),
        ({"format": "png", "pages": [{}, {"number": "two"}]}, "pages.1.number", "type"),
    ],
)
def test_the_field_at_fault_is_named(options: dict[str, Any], field: str, code: str) -> None:
    (error,) = errors_of(options)

    assert (error["field"], error["code"]) == (field, code)
    assert error["message"]


def test_every_field_at_fault_is_named_at_once() -> None:
    errors = errors_of({"format": "gif", "a": 1, "b": 2, "width": -1})

    assert {error["field"] for error in errors} == {"format", "a", "b", "width"}


def test_every_value_to_choose_from_is_named() -> None:
    schema = {"properties": {"format": {"enum": ["webp", "png", "gif", 4, None]}}}

    (error,) = errors_of({"format": "tiff"}, schema)

    assert error["message"] == 'the value is none of "webp", "png", "gif", 4, null'


def test_no_message_tells_a_value() -> None:
    (error,) = errors_of({"format": "png", "password": "hunter2"})

    assert "hunter2" not in error["message"]


def test_the_number_of_details_is_limited() -> None:
    errors = errors_of({"format": "png", **{f"x{n}": n for n in range(DETAILS_MAX * 3)}})

    assert len(errors) == DETAILS_MAX


def test_a_changed_schema_counts_even_under_the_same_version() -> None:
    validators = OptionsValidators()
    validators.check("tool", "1", {"type": "object"}, {"any": 1})

    with pytest.raises(InvalidOptions):
        validators.check("tool", "1", SCHEMA, {"any": 1})


def test_one_spelling_for_equal_options() -> None:
    assert canonical({"b": 1, "a": {"d": 2, "c": 3}}) == '{"a":{"c":3,"d":2},"b":1}'
    assert canonical({"a": {"c": 3, "d": 2}, "b": 1}) == canonical({"b": 1, "a": {"d": 2, "c": 3}})


@pytest.mark.parametrize("value", [2**64, -(2**64), "\ud800"])
def test_what_json_cannot_carry_is_refused(value: object) -> None:
    with pytest.raises(InvalidOptions):
        canonical({"a": value})
