"""The facts of a limit: how many of a tenant's jobs may run at once, or start in a while."""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID, uuid5

from events.contracts.fact import Fact, FirstFact

_LIMITS = UUID("5d9c1c3e-7b8e-5c47-9b0a-2f4f6e0a7d31")
"""The namespace of limit ids; permanent."""


class LimitScope(StrEnum):
    """Which jobs of its tenant a limit counts."""

    TENANT = "tenant"
    """All of them."""
    TOOL = "tool"
    """Those of one tool."""
    KEY = "key"
    """Those with one limit key; without a subject, of each key that has no limit of its own."""


def limit_id(tenant: str, scope: LimitScope, subject: str) -> UUID:
    """The id of the limit's aggregate: the same for everybody who knows what it counts."""
    return uuid5(_LIMITS, f"{tenant}\0{scope.value}\0{subject}")


class LimitIntroduced(FirstFact):
    """Somebody limited these jobs for the first time."""

    TOPIC: ClassVar[str] = "magictoolbox.limit.introduced"

    scope: str
    """A `LimitScope`."""
    subject: str
    """A tool's name, or the blind token of a limit key; empty where the scope needs none."""
    subject_text: str | None
    """Sealed with the limit's own key: the limit key as it was written; None for other scopes."""


class LimitSet(Fact):
    """From now on this is the limit."""

    TOPIC: ClassVar[str] = "magictoolbox.limit.set"

    scope: str
    subject: str
    concurrency: int | None
    """So many at once; None: any number."""
    rate: int | None
    """So many starts in `per_seconds`; None: any number."""
    per_seconds: float | None


class LimitRemoved(Fact):
    """There is no such limit any more."""

    TOPIC: ClassVar[str] = "magictoolbox.limit.removed"

    scope: str
    subject: str
