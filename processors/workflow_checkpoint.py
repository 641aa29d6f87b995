"""How far the manager of workflows has read the log.

It may stand behind what was done, never ahead: what is read twice changes nothing, so it is written
now and then, and two managers need not agree on it.
"""

from typing import Final, Protocol

from processors.session import Session

_READ: Final = "SELECT position FROM work.workflow_checkpoint"
_MOVE: Final = """
UPDATE work.workflow_checkpoint SET position = $1, moved_at = clock_timestamp() WHERE position < $1
"""


class WorkflowCheckpoint(Protocol):
    """Keeps one position."""

    async def read(self) -> int:
        """The position up to which everything was done."""
        ...

    async def move(self, position: int) -> None:
        """Everything up to this position was done; it never moves back."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class PostgresWorkflowCheckpoint:
    """The position in PostgreSQL, over a connection of its own."""

    def __init__(self, dsn: str) -> None:
        self._session = Session(dsn)

    async def read(self) -> int:
        """See `WorkflowCheckpoint.read`."""
        rows = await self._session.fetch(_READ)
        return int(rows[0]["position"])

    async def move(self, position: int) -> None:
        """See `WorkflowCheckpoint.move`."""
        await self._session.fetch(_MOVE, position)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._session.close()


class MemoryWorkflowCheckpoint:
    """The position in memory, for simulations and for tests without a database."""

    def __init__(self) -> None:
        self.position = 0

    async def read(self) -> int:
        """See `WorkflowCheckpoint.read`."""
        return self.position

    async def move(self, position: int) -> None:
        """See `WorkflowCheckpoint.move`."""
        self.position = max(self.position, position)

    async def close(self) -> None:
        """Nothing to let go of."""
