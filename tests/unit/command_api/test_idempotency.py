"""What makes two requests the same."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from command_api.errors import IdempotencyConflict
from command_api.idempotency import asked_for, command_id, fingerprint, require_same
from events.store.repository import Answer, Command
from events.store.sealing import Sealer
from infrastructure.principals import Principal, Role
from infrastructure.settings import SealingSettings

ALICE = Principal(uuid4(), "acme", Role.CLIENT, 1)
SEALER = Sealer(SealingSettings(sealing_key="k" * 32))
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def request(**changes: Any) -> list[Any]:
    """What a request asks for, with these changes."""
    fields: dict[str, Any] = {
        "tool": "no-op",
        "options": "{}",
        "sha256s": ["aa", "bb"],
        "queue": "default",
        "priority": 0,
        "run_at": NOON,
        "labels": {"a": "1", "b": "2"},
        "terms": {},
    }
    return asked_for(**(fields | changes))


def test_a_key_is_scoped_by_tenant_and_user() -> None:
    others = [
        Principal(ALICE.user_id, "globex", Role.CLIENT, 1),
        Principal(uuid4(), "acme", Role.CLIENT, 1),
    ]

    ids = {command_id(principal, "key") for principal in (ALICE, *others)}

    assert len(ids) == 3
    assert command_id(ALICE, "key") == command_id(ALICE, "key")
    assert command_id(ALICE, "key") != command_id(ALICE, "other key")


def test_equal_requests_have_equal_fingerprints() -> None:
    in_vienna = NOON.astimezone(timezone(timedelta(hours=1)))
    same = request(run_at=in_vienna, labels={"b": "2", "a": "1"})

    assert fingerprint(SEALER, "acme", request()) == fingerprint(SEALER, "acme", same)


@pytest.mark.parametrize(
    "changes",
    [
        {"tool": "other"},
        {"options": '{"a":1}'},
        {"sha256s": ["bb", "aa"]},
        {"sha256s": ["aa"]},
        {"queue": "fast"},
        {"priority": 1},
        {"run_at": None},
        {"labels": {}},
    ],
    ids=str,
)
def test_any_difference_makes_another_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(SEALER, "acme", request()) != fingerprint(SEALER, "acme", request(**changes))


def test_a_fingerprint_cannot_be_computed_without_the_key() -> None:
    other = Sealer(SealingSettings(sealing_key="z" * 32))

    assert fingerprint(SEALER, "acme", request()) != fingerprint(other, "acme", request())


def test_another_fingerprint_under_the_same_key_is_a_conflict() -> None:
    command = Command(uuid4(), "acme", b"one", uuid4())

    require_same(Answer(b"one", uuid4(), 1), command)
    with pytest.raises(IdempotencyConflict):
        require_same(Answer(b"two", uuid4(), 1), command)
