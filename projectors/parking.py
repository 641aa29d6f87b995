"""Aggregates that could not be folded: set aside in order, so that the others go on.

From the first event that fails, an aggregate's events are only noted; its rows stay as they were
before it. A rebuild tries them all again.
"""

from enum import StrEnum
from typing import Final
from uuid import UUID

import structlog

from events.contracts.envelope import RecordedRow
from infrastructure.metrics import PROJECTION_PARKED
from infrastructure.postgres import Connection
from projectors.statements import OWNER, Write

PARKED_IN_BATCH_MAX: Final = 100
"""More failures at once are no bad events but a bad projection, and stop it."""

log = structlog.get_logger(__name__)

_LOAD: Final = """
SELECT aggregate_id, min(position) AS first FROM read_models.parked_events
 WHERE projection_group = $1 AND generation = $2 GROUP BY aggregate_id
"""
_TYPES: Final = ("text", "int", "bigint", "uuid", "bigint", "text", "text")


class Reason(StrEnum):
    """Why an event was parked."""

    UNREADABLE = "unreadable"
    FOLD_FAILED = "fold_failed"
    WRITE_REFUSED = "write_refused"
    UNKNOWN_BEGINNING = "unknown_beginning"
    """Its first fact is of a newer version and was skipped, so there is nothing to fold into."""
    FOLLOWS_PARKED = "follows_parked"


_FAILURES: Final = frozenset({Reason.UNREADABLE, Reason.FOLD_FAILED, Reason.WRITE_REFUSED})


class Poisoned(Exception):
    """This event cannot be folded."""

    def __init__(
        self, row: RecordedRow, reason: Reason, error: BaseException | None = None
    ) -> None:
        super().__init__(f"position {row.position}, {row.topic}: {reason}: {error!r}")
        self.row = row
        self.reason = reason


class TooManyPoisoned(Exception):
    """So many events cannot be folded that the projection itself must be wrong."""


class Parking:
    """The parked aggregates of one group, and from where on."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._first: dict[UUID, int] = {}
        self._noted: dict[int, tuple[RecordedRow, Reason]] = {}

    def __bool__(self) -> bool:
        """Whether anything is parked at all."""
        return bool(self._first)

    def holds(self, row: RecordedRow) -> bool:
        """Whether this event is not to be folded, because its aggregate is parked."""
        first = self._first.get(row.originator_id)
        return first is not None and row.position >= first

    def notes(self, row: RecordedRow) -> bool:
        """The same as `holds`; and notes the event, if so."""
        if not self.holds(row):
            return False
        self._noted.setdefault(row.position, (row, Reason.FOLLOWS_PARKED))
        return True

    def park(self, poisoned: Poisoned) -> None:
        """Set the aggregate aside, from this event on; raises TooManyPoisoned."""
        row, reason = poisoned.row, poisoned.reason
        failed = sum(noted in _FAILURES for _, noted in self._noted.values())
        if failed >= PARKED_IN_BATCH_MAX:
            raise TooManyPoisoned(f"the last one at {poisoned}") from poisoned
        self._first[row.originator_id] = row.position
        self._noted[row.position] = (row, reason)
        log.error(
            "event_parked",
            group=self._group,
            position=row.position,
            topic=row.topic,
            aggregate_id=str(row.originator_id),
            reason=reason.value,
            exc_info=poisoned,
        )

    async def load(self, connection: Connection, generation: int) -> None:
        """Start from what is recorded."""
        rows = await connection.fetch(_LOAD, self._group, generation)
        self._first = {UUID(int=row["aggregate_id"].int): row["first"] for row in rows}
        self._noted.clear()

    def writes(self, generation: int) -> list[Write]:
        """What it takes to record what was noted since the last `settle`."""
        if not self._noted:
            return []
        rows = [row for row, _ in self._noted.values()]
        arguments = (
            [self._group] * len(rows),
            [generation] * len(rows),
            [row.position for row in rows],
            [row.originator_id for row in rows],
            [row.originator_version for row in rows],
            [row.topic for row in rows],
            [reason.value for _, reason in self._noted.values()],
        )
        return [Write(_insert, arguments, len(rows))]

    def settle(self) -> None:
        """What was noted is committed."""
        for _, reason in self._noted.values():
            PROJECTION_PARKED.labels(self._group, reason.value).inc()
        self._noted.clear()

    def forget_followers(self) -> None:
        """A batch is folded again: whoever follows a parked event will be noted again."""
        self._noted = {
            position: (row, reason)
            for position, (row, reason) in self._noted.items()
            if reason is not Reason.FOLLOWS_PARKED
        }


def _insert(first: int) -> str:
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(_TYPES, first))
    return (
        "INSERT INTO read_models.parked_events"
        " (projection_group, generation, position, aggregate_id, version, topic, reason)"
        f" SELECT u.* FROM {OWNER}, unnest({arrays}) AS u"
    )
