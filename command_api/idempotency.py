"""Makes a request that is sent again lead to what the first one led to.

The client's key, scoped by tenant and user, is the command's id; the log holds it beside a digest
of what was asked for. The digest is keyed, because options may hold a password that few guesses
would find.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

import orjson

from command_api.errors import IdempotencyConflict
from events.store.repository import Answer, Command
from events.store.sealing import Sealer
from infrastructure.principals import Principal

_COMMANDS: Final = UUID("d2b1c6de-7b0f-5e53-8f0e-2a6a1b6f4c97")
"""The namespace of command ids; permanent."""

FINGERPRINT: Final = "command fingerprint"


def command_id(principal: Principal, key: str) -> UUID:
    """The id of the command that this user names so."""
    return uuid5(_COMMANDS, f"{principal.tenant}\0{principal.user_id}\0{key}")


def fingerprint(sealer: Sealer, tenant: str, asked_for: Sequence[Any]) -> bytes:
    """A digest of what was asked for: equal for equal requests, useless for guessing."""
    text = orjson.dumps(asked_for, option=orjson.OPT_SORT_KEYS).decode()
    return bytes.fromhex(sealer.label_token(tenant, FINGERPRINT, text))


def asked_for(
    tool: str,
    options: str,
    sha256s: Sequence[str],
    queue: str,
    priority: int,
    run_at: datetime | None,
    labels: Mapping[str, str],
    terms: Mapping[str, Any],
) -> list[Any]:
    """What makes two requests the same: the tool, how it is to run, and the bytes it runs on."""
    when = None if run_at is None else run_at.astimezone(UTC).isoformat()
    asked = [tool, options, list(sha256s), queue, priority, when, dict(labels)]
    # Only what is said: a request keeps its digest when there is more to say in a later release.
    return [*asked, dict(terms)] if terms else asked


def require_same(answer: Answer, command: Command) -> None:
    """Raise IdempotencyConflict if the key was used for something else."""
    if answer.fingerprint != command.fingerprint:
        raise IdempotencyConflict
