"""The facts of a reservation: which job holds a key that only one job may hold at a time.

What a client called the key is not in the log: only a blind token of it goes into the id.
"""

from typing import ClassVar
from uuid import UUID, uuid5

from events.contracts.fact import Fact, FirstFact

_RESERVATIONS = UUID("3b1f2a52-0c58-5c7e-8a0f-7d9e4c1b6a20")
"""The namespace of reservation ids; permanent."""


def reservation_id(tenant: str, scope: str, within: str, token: str) -> UUID:
    """The id of the reservation: the same for everybody who asks for the same key.

    `within` is the tool or queue that the scope speaks of; empty for the tenant.
    """
    return uuid5(_RESERVATIONS, "\0".join((tenant, scope, within, token)))


class KeyReserved(FirstFact):
    """A job took a key that nobody had ever held."""

    TOPIC: ClassVar[str] = "magictoolbox.reservation.reserved"

    scope: str
    """`tool`, `queue` or `tenant`: among which jobs there may be one."""
    holder: str
    """The id of the job."""
    until: str
    """`finished`, `started` or `time`: how long the job holds it."""
    expires_at: str | None
    """When it lets go (ISO 8601, UTC), if that is a matter of time."""


class KeyTakenOver(Fact):
    """A job took a key that the holder before it had let go."""

    TOPIC: ClassVar[str] = "magictoolbox.reservation.taken_over"

    holder: str
    until: str
    expires_at: str | None
