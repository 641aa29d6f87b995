"""Reads of the end of the log what may concern workflows, and skips the rest where it lies.

On a busy platform that is a small part; reading all of it would cost as much as dispatching.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from events.contracts.envelope import RecordedRow
from events.contracts.workflow import WorkflowSubmitted
from events.store import statements
from events.store.log import TAIL_SETTINGS, recorded_row
from processors.session import Session
from processors.tail import Tail

DERIVED: Final = 5
"""The version of a UUID that was made from a name, as those of steps' jobs are."""
TOPICS: Final = WorkflowSubmitted.TOPIC.rpartition(".")[0] + "."

# The topics are spelled out, not bound, as in every statement of the log.
_READ: Final = f"""
WITH scanned AS (
    SELECT * FROM event_store.stored_events
     WHERE notification_id > $1 ORDER BY notification_id LIMIT $2
)
SELECT end_of.position, s.notification_id, s.originator_id, s.originator_version, s.topic, s.state,
       s.tenant, s.recorded_at
  FROM (SELECT max(notification_id) AS position FROM scanned) end_of
  LEFT JOIN scanned s ON starts_with(s.topic, '{TOPICS}')
                      OR get_byte(uuid_send(s.originator_id), 6) >> 4 = {DERIVED}
 ORDER BY s.notification_id
"""


@dataclass(frozen=True, slots=True)
class EndOfLog:
    """What was read."""

    rows: Sequence[RecordedRow]
    """Those that may concern workflows, in order."""
    position: int
    """Of the last row that was looked at."""


class WorkflowTail(Protocol):
    """What the manager of workflows reads of the log."""

    async def read(self, position: int, limit: int) -> EndOfLog:
        """Look at up to `limit` rows after a position."""
        ...

    async def first_event(self, originator_id: UUID) -> RecordedRow | None:
        """The event that began an aggregate."""
        ...

    async def close(self) -> None:
        """Let go of the log."""
        ...


class PostgresWorkflowTail:
    """The end of the log in PostgreSQL."""

    def __init__(self, dsn: str) -> None:
        self._session = Session(dsn, prepare=TAIL_SETTINGS)

    async def read(self, position: int, limit: int) -> EndOfLog:
        """See `WorkflowTail.read`."""
        found = await self._session.fetch(_READ, position, limit)
        rows = [recorded_row(row) for row in found if row["notification_id"] is not None]
        return EndOfLog(rows, found[0]["position"] or position)

    async def first_event(self, originator_id: UUID) -> RecordedRow | None:
        """See `WorkflowTail.first_event`."""
        rows = await self._session.fetch(statements.FIND_FIRST, originator_id)
        return recorded_row(rows[0]) if rows else None

    async def close(self) -> None:
        """Let go of the connection."""
        await self._session.close()


class PlainWorkflowTail:
    """The end of any log, such as the one in memory."""

    def __init__(self, log: Tail) -> None:
        self._log = log

    async def read(self, position: int, limit: int) -> EndOfLog:
        """See `WorkflowTail.read`."""
        rows = await self._log.read_after(position, limit)
        wanted = [row for row in rows if _may_concern(row)]
        return EndOfLog(wanted, rows[-1].position if rows else position)

    async def first_event(self, originator_id: UUID) -> RecordedRow | None:
        """See `WorkflowTail.first_event`."""
        return await self._log.first_event(originator_id)

    async def close(self) -> None:
        """Nothing to let go of."""


def _may_concern(row: RecordedRow) -> bool:
    return row.topic.startswith(TOPICS) or row.originator_id.version == DERIVED
