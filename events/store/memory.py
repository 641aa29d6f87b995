"""The log in memory: a true twin of the one in PostgreSQL, held to the same suite of tests.

For simulations and for tests of rules that need no database. Nothing survives the process.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from events.contracts.envelope import RecordedRow
from events.store.append import Answer, Append, CommandRepeated, StreamConflict
from events.store.log import ROWS_MAX, VERSION_MAX
from infrastructure.clock import Clock, SystemClock


class MemoryLog:
    """Both sides of the log: it appends and reads."""

    def __init__(
        self,
        clock: Clock | None = None,
        on_appended: Callable[[int], None] = lambda position: None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._on_appended = on_appended
        self._rows: list[RecordedRow] = []
        self._streams: dict[UUID, list[RecordedRow]] = {}
        self._recorded: set[tuple[UUID | str, int]] = set()
        self._commands: dict[UUID, Answer] = {}
        self._keys: dict[UUID, bytes] = {}

    async def append(self, append: Append) -> list[int]:
        """See `events.store.append.Appender.append`."""
        if append.command is not None and append.command.id in self._commands:
            raise CommandRepeated(self._commands[append.command.id])
        taken = {(event.originator_id, event.originator_version) for event in append.events}
        if len(taken) < len(append.events) or not self._recorded.isdisjoint(taken):
            raise StreamConflict(StreamConflict.__doc__)
        positions = [self._record(append, index) for index in range(len(append.events))]
        if append.command is not None:
            command = append.command
            answer = Answer(command.fingerprint, command.originator_id, positions[-1])
            self._commands[command.id] = answer
        self._keys.update({key.subject_id: key.wrapped for key in append.keys})
        if positions:
            self._on_appended(positions[-1])
        return positions

    async def answer_to(self, command_id: UUID) -> Answer | None:
        """See `events.store.append.Appender.answer_to`."""
        return self._commands.get(command_id)

    async def close(self) -> None:
        """Nothing to let go of."""

    async def read_after(self, position: int, limit: int = ROWS_MAX) -> Sequence[RecordedRow]:
        """See `events.store.log.Log.read_after`."""
        return self._rows[position : position + min(limit, ROWS_MAX)]

    async def read_stream(
        self, originator_id: UUID, *, after_version: int = 0, up_to: int = VERSION_MAX
    ) -> Sequence[RecordedRow]:
        """See `events.store.log.Log.read_stream`."""
        rows = self._streams.get(originator_id, [])
        return [row for row in rows if after_version < row.originator_version <= up_to]

    async def read_streams(self, ids: Sequence[UUID]) -> dict[UUID, list[RecordedRow]]:
        """See `events.store.log.Log.read_streams`."""
        return {key: list(self._streams[key]) for key in ids if key in self._streams}

    async def head(self) -> int:
        """See `events.store.log.Log.head`."""
        return len(self._rows)

    async def first_event(self, originator_id: UUID) -> RecordedRow | None:
        """See `events.store.log.Log.first_event`."""
        rows = self._streams.get(originator_id)
        return rows[0] if rows else None

    async def keys(self, subject_ids: Sequence[UUID]) -> dict[UUID, bytes]:
        """See `events.store.log.Log.keys`."""
        return {key: self._keys[key] for key in subject_ids if key in self._keys}

    def _record(self, append: Append, index: int) -> int:
        event = append.events[index]
        row = RecordedRow(
            position=len(self._rows) + 1,
            originator_id=event.originator_id,  # type: ignore[arg-type]
            originator_version=event.originator_version,
            topic=event.topic,
            state=event.state,
            tenant=append.tenant,
            recorded_at=max(self._clock.now(), self._latest()),
        )
        self._rows.append(row)
        self._recorded.add((row.originator_id, row.originator_version))
        self._streams.setdefault(row.originator_id, []).append(row)
        return row.position

    def _latest(self) -> datetime:
        return self._rows[-1].recorded_at if self._rows else self._clock.now()
