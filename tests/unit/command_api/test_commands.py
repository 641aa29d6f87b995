"""Commands are valid as soon as they exist."""

from dataclasses import FrozenInstanceError
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from command_api.commands import (
    INPUTS_MAX,
    LABELS_MAX,
    OPTIONS_DEPTH_MAX,
    OPTIONS_MEMBERS_MAX,
    CreateUser,
    SubmitJob,
    UploadInput,
)
from infrastructure.principals import Principal, Role

ALICE = Principal(uuid4(), "acme", Role.CLIENT, 1)


def submit(**changes: Any) -> SubmitJob:
    """A valid command with these changes."""
    fields: dict[str, Any] = {"principal": ALICE, "request_id": "r", "tool": "no-op", "options": {}}
    return SubmitJob(**(fields | changes))


def nested(depth: int) -> dict[str, Any]:
    """Options that are nested so deep."""
    options: dict[str, Any] = {}
    for _ in range(depth):
        options = {"a": options}
    return options


def test_a_command_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        submit().queue = "other"  # type: ignore[misc]


def test_what_is_at_the_limit_is_valid() -> None:
    command = submit(
        options=nested(OPTIONS_DEPTH_MAX - 1) | {f"x{n}": n for n in range(900)},
        labels={f"l{n}": "v" for n in range(LABELS_MAX)},
        inputs=tuple(UploadInput(uuid4()) for _ in range(INPUTS_MAX)),
        priority=-100,
        queue="a-1",
        idempotency_key="~" * 255,
    )

    assert command.principal is ALICE
    assert len(command.inputs) == INPUTS_MAX


@pytest.mark.parametrize(
    "changes",
    [
        {"options": nested(OPTIONS_DEPTH_MAX + 1)},
        {"options": {"a": list(range(OPTIONS_MEMBERS_MAX))}},
        {"options": {"a": [float("nan")]}},
        {"options": {"a": float("-inf")}},
        {"labels": {f"l{n}": "v" for n in range(LABELS_MAX + 1)}},
        {"labels": {"": "v"}},
        {"labels": {"a b": "v"}},
        {"inputs": tuple(UploadInput(UUID(int=n)) for n in range(INPUTS_MAX + 1))},
        {"priority": 101},
        {"queue": "a.b"},
        {"queue": ">"},
        {"queue": "x" * 64},
        {"run_at": datetime(2030, 1, 1)},  # noqa: DTZ001 - without a zone on purpose
        {"idempotency_key": "ä"},
        {"idempotency_key": "a\nb"},
        {"principal": "alice"},
    ],
    ids=str,
)
def test_what_is_beyond_a_limit_does_not_come_to_exist(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        submit(**changes)


def test_a_password_is_in_no_representation() -> None:
    command = CreateUser(
        principal=ALICE,
        request_id="r",
        username="Bob",
        password="correct horse",  # type: ignore[arg-type]
        role=Role.CLIENT,
    )

    assert "correct horse" not in repr(command)
    assert command.username == "bob"
