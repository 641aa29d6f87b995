"""PostgreSQL as one process reaches it: the log, the lead, the end of the log for the relay."""

from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from events.contracts.envelope import RecordedRow
from events.relay.frames import Row
from events.relay.tail import LogHole
from events.store.append import Answer, Append, LogUnavailable, OutcomeUnknown
from events.store.memory import MemoryLog
from tests.simulation.process import Away, SimProcess

PAGE_ROWS: Final = 20


class LogPort:
    """Both sides of the log; an append that breaks off says whether it can have happened."""

    def __init__(
        self, process: SimProcess, log: MemoryLog, on_appended: Callable[[], None] = lambda: None
    ) -> None:
        self._process = process
        self._log = log
        self._on_appended = on_appended

    async def append(self, append: Append) -> list[int]:
        """See `Appender.append`."""
        try:
            await self._process.reach()
        except Away as error:
            raise LogUnavailable from error
        positions = await self._log.append(append)
        try:
            await self._process.returned()
        except Away as error:
            raise OutcomeUnknown from error
        self._on_appended()
        return positions

    async def answer_to(self, command_id: UUID) -> Answer | None:
        """See `Appender.answer_to`."""
        try:
            await self._process.reach()
        except Away as error:
            raise LogUnavailable from error
        return await self._log.answer_to(command_id)

    async def close(self) -> None:
        """Nothing to let go of."""

    def __getattr__(self, name: str) -> Any:
        read = getattr(self._log, name)

        async def through(*arguments: Any, **options: Any) -> Any:
            await self._process.reach()
            answer = await read(*arguments, **options)
            await self._process.returned()
            return answer

        return through


class Leads:
    """Who leads: one for each duty, until it dies or its connection breaks."""

    def __init__(self) -> None:
        self.holders: dict[str, SimProcess] = {}

    def lose(self, duty: str) -> None:
        """The connection of the holder breaks; it will know when it asks again."""
        self.holders.pop(duty, None)


class LeadPort:
    """The lead of one duty as one process reaches for it."""

    def __init__(self, process: SimProcess, leads: Leads, duty: str) -> None:
        self.key = duty
        self._process = process
        self._leads = leads
        self.is_held = False

    async def hold(self) -> bool:
        """See `Leadership.hold`."""
        await self._process.reach()
        holder = self._leads.holders.get(self.key)
        if holder is None or not holder.alive:
            self._leads.holders[self.key] = self._process
        self.is_held = self._leads.holders[self.key] is self._process
        return self.is_held

    async def release(self) -> None:
        """See `Leadership.release`."""
        if self._leads.holders.get(self.key) is self._process and self._process.alive:
            del self._leads.holders[self.key]
        self.is_held = False


class LogEndPort:
    """The end of the log as the relay reads it."""

    def __init__(self, process: SimProcess, log: MemoryLog) -> None:
        self._process = process
        self._log = log

    async def head(self) -> int:
        """See `LogEnd.head`."""
        await self._process.reach()
        return await self._log.head()

    async def fetch_row(self, statement: str, position: int) -> Row | None:
        """See `LogEnd.fetch_row`."""
        await self._process.reach()
        rows = await self._log.read_after(position - 1, 1)
        return as_row(rows[0]) if rows else None

    async def read(self, position: int) -> tuple[Sequence[Row], bool]:
        """See `LogEnd.read`."""
        await self._process.reach()
        rows = [as_row(row) for row in await self._log.read_after(position, PAGE_ROWS)]
        if rows and rows[-1]["notification_id"] != position + len(rows):
            raise LogHole
        return rows, len(rows) == PAGE_ROWS

    def let_go(self) -> None:
        """Nothing is under way."""


class CheckpointsPort:
    """The readers of the stream as the relay asks for them."""

    def __init__(self, process: SimProcess, slowest: Callable[[], int]) -> None:
        self._process = process
        self._slowest = slowest

    async def first_wanted(self) -> int:
        """See `Checkpoints.first_wanted`."""
        await self._process.reach()
        return self._slowest() + 1


def as_row(row: RecordedRow) -> dict[str, Any]:
    """A row of the log as the database returns it."""
    return {
        "notification_id": row.position,
        "originator_id": row.originator_id,
        "originator_version": row.originator_version,
        "topic": row.topic,
        "state": row.state,
        "tenant": row.tenant,
        "recorded_at": row.recorded_at,
    }
