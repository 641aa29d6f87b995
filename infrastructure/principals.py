"""Who asks: a principal, the role it has, and what a role may.

A higher role may all that a lower one may; the auditor stands beside them and reads.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """What a user may do within the tenant."""

    CLIENT = "client"
    """Own jobs."""
    OPERATOR = "operator"
    """A client who also sees and steers the tenant's jobs and queues."""
    ADMIN = "admin"
    """An operator who also manages users and settings."""
    AUDITOR = "auditor"
    """Reads the whole history and changes nothing."""

    def allows(self, needed: "Role") -> bool:
        """Whether this role may do what `needed` may."""
        return needed in _INCLUDED[self]


_INCLUDED = {
    Role.CLIENT: frozenset({Role.CLIENT}),
    Role.OPERATOR: frozenset({Role.CLIENT, Role.OPERATOR}),
    Role.ADMIN: frozenset({Role.CLIENT, Role.OPERATOR, Role.ADMIN}),
    Role.AUDITOR: frozenset({Role.AUDITOR}),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller, as a token describes it."""

    user_id: UUID
    tenant: str
    role: Role
    session_version: int
    username: str | None = None
