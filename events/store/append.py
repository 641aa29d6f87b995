"""Appends events to the log: all of one append or none of it, at consecutive positions.

Positions come from one head row that is updated in the same statement as the insert. Its lock puts
commits in the order of their positions and rolls back with them: no holes, no late commits. Each
process has one appender; whatever queued up while the last commit flushed goes into the next
statement. A stale version fails only the append it belongs to. Publishing is the relay's work.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Protocol
from uuid import UUID

import asyncpg
import structlog
from eventsourcing.persistence import StoredEvent

from events.store.sealing import WrappedKey
from events.store.statements import APPEND, APPEND_ONE_BY_ONE, FIND_COMMANDS, FIND_EVENTS
from infrastructure.batching import Batcher, Overloaded
from infrastructure.metrics import (
    APPEND_BATCH_EVENTS,
    APPEND_BATCH_SECONDS,
    APPEND_CONFLICTS,
    APPEND_SECONDS,
    APPENDS,
    APPENDS_WAITING,
    EVENTS_APPENDED,
    LOG_POSITION,
)
from infrastructure.postgres import UNAVAILABLE, Connection, Role, connect

EVENTS_IN_APPEND_MAX: Final = 1_000
EVENTS_IN_BATCH_MAX: Final = 2_000
BYTES_IN_BATCH_MAX: Final = 1_048_576
APPENDS_WAITING_MAX: Final = 20_000
RECONNECT_ATTEMPTS_MAX: Final = 3
RECONNECT_PAUSE_SECONDS: Final = 0.2

_logger = structlog.get_logger(__name__)
_RECORDED = APPENDS.labels("recorded")


class AppendError(Exception):
    """The append was not made."""


class StreamConflict(AppendError):
    """Somebody else changed the aggregate since it was loaded; load it and decide again."""


class LogUnavailable(AppendError):
    """The log cannot be written at the moment; nothing was recorded."""


class OutcomeUnknown(LogUnavailable):
    """The connection broke while the append was under way; it may or may not be recorded."""


class CommandRepeated(AppendError):
    """A command of this id was recorded before; here is what it led to."""

    def __init__(self, answer: "Answer") -> None:
        super().__init__(self.__doc__)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Answer:
    """What a recorded command led to."""

    fingerprint: bytes
    originator_id: UUID
    position: int


@dataclass(frozen=True, slots=True)
class Command:
    """Makes an append idempotent: a second one of the same id gets the first answer."""

    id: UUID
    tenant: str
    fingerprint: bytes
    """Digest of what was asked for; another digest under the same id is a client's mistake."""
    originator_id: UUID


@dataclass(frozen=True, slots=True)
class Append:
    """Events, of one aggregate or several, that are recorded together or not at all."""

    tenant: str
    events: Sequence[StoredEvent]
    command: Command | None = None
    keys: Sequence[WrappedKey] = ()


class Appender(Protocol):
    """Writes to the log; held to one suite of tests with its in-memory twin."""

    async def append(self, append: Append) -> list[int]:
        """Record the events; returns their positions, in order.

        Raises StreamConflict, CommandRepeated, LogUnavailable, OutcomeUnknown.
        """
        ...

    async def answer_to(self, command_id: UUID) -> Answer | None:
        """What a command of this id led to, if it was recorded."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of the connection."""
        ...


class PostgresAppender:
    """The appender of one process: one connection, one statement at a time, many appends in it."""

    def __init__(
        self,
        dsn: str,
        role: Role | None,
        *,
        on_appended: Callable[[int], None] = lambda position: None,
        timeout_seconds: float = 10.0,
    ) -> None:
        self._dsn = dsn
        self._role = role
        self._on_appended = on_appended
        self._timeout_seconds = timeout_seconds
        self._connection: Connection | None = None
        self._in_use = asyncio.Lock()
        self._batcher: Batcher[Append, list[int]] = Batcher(
            self._flush,
            batch_max=EVENTS_IN_BATCH_MAX,
            waiting_max=APPENDS_WAITING_MAX,
            weigh=_weight,
            weight_max=BYTES_IN_BATCH_MAX,
        )

    async def append(self, append: Append) -> list[int]:
        """See `Appender.append`."""
        if not append.events:
            return []
        if len(append.events) > EVENTS_IN_APPEND_MAX:
            raise AppendError(f"{len(append.events)} events; {EVENTS_IN_APPEND_MAX} at most")
        began = perf_counter()
        try:
            return await self._batcher.submit(append)
        except Overloaded as error:
            raise LogUnavailable(LogUnavailable.__doc__) from error
        finally:
            APPEND_SECONDS.observe(perf_counter() - began)

    async def answer_to(self, command_id: UUID) -> Answer | None:
        """See `Appender.answer_to`."""
        async with self._in_use:
            try:
                connection = await self._connected()
                rows = await connection.fetch(FIND_COMMANDS, [command_id])
            except UNAVAILABLE as error:
                self._drop_connection()
                raise LogUnavailable(LogUnavailable.__doc__) from error
        return _answer(rows[0]) if rows else None

    async def close(self) -> None:
        """See `Appender.close`."""
        await self._batcher.close()
        if self._connection is not None:
            await self._connection.close()

    async def _flush(self, batch: Sequence[Append]) -> Sequence[list[int] | Exception]:
        with APPEND_BATCH_SECONDS.time():
            async with self._in_use:
                results = await self._record(batch)
        recorded = [result for result in results if not isinstance(result, Exception)]
        if recorded:
            newest = max(positions[-1] for positions in recorded)
            _count(sum(map(len, recorded)), newest)
            self._on_appended(newest)
        APPENDS_WAITING.set(self._batcher.waiting)
        _RECORDED.inc(len(recorded))
        for result in results:
            if isinstance(result, Exception):
                APPENDS.labels(_outcome(result)).inc()
        return results

    async def _record(self, batch: Sequence[Append]) -> Sequence[list[int] | Exception]:
        """One statement for the whole batch; one by one where it clashes or where we lost touch.

        Trying again after a lost connection is safe: a version cannot be taken twice, and an
        event that is found with the very bytes we sent is ours.
        """
        sent = False
        for _ in range(RECONNECT_ATTEMPTS_MAX):
            try:
                connection = await self._connected()
                if sent:
                    return await self._one_by_one(connection, batch, lost_touch=True)
                sent = True
                return await self._all_at_once(connection, batch)
            except UNAVAILABLE as error:
                _logger.warning("append_interrupted", error=type(error).__name__, sent=sent)
                self._drop_connection()
                await asyncio.sleep(RECONNECT_PAUSE_SECONDS)
        raise (
            OutcomeUnknown(OutcomeUnknown.__doc__)
            if sent
            else LogUnavailable(LogUnavailable.__doc__)
        )

    async def _all_at_once(
        self, connection: Connection, batch: Sequence[Append]
    ) -> Sequence[list[int] | Exception]:
        try:
            base = await connection.fetchval(APPEND, *_columns(batch))
        except asyncpg.UniqueViolationError:
            return await self._one_by_one(connection, batch)
        return _positions(batch, [base + 1])

    async def _one_by_one(
        self, connection: Connection, batch: Sequence[Append], *, lost_touch: bool = False
    ) -> Sequence[list[int] | Exception]:
        rows = await connection.fetch(APPEND_ONE_BY_ONE, *_columns(batch), *_slices(batch))
        first = {row["append"] - 1: row["first_position"] for row in rows}
        results: list[list[int] | Exception] = []
        for number, append in enumerate(batch):
            if number in first:
                results.append([first[number] + i for i in range(len(append.events))])
            else:
                results.append(await self._why_not(connection, append, lost_touch))
        return results

    async def _why_not(
        self, connection: Connection, append: Append, lost_touch: bool
    ) -> list[int] | Exception:
        """Tell apart what kept an append out: it is there already, a repeat, or a conflict."""
        if lost_touch and (recorded := await self._found(connection, append)):
            return recorded
        if append.command is not None:
            found = await connection.fetch(FIND_COMMANDS, [append.command.id])
            if found:
                return CommandRepeated(_answer(found[0]))
        return StreamConflict(StreamConflict.__doc__)

    async def _found(self, connection: Connection, append: Append) -> list[int]:
        """The positions of exactly these events, if they are in the log."""
        rows = await connection.fetch(
            FIND_EVENTS,
            [event.originator_id for event in append.events],
            [event.originator_version for event in append.events],
        )
        if [row["state"] for row in rows] != [event.state for event in append.events]:
            return []
        return [row["notification_id"] for row in rows]

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(
                self._dsn, self._role, timeout_seconds=self._timeout_seconds
            )
        return self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _count(events: int, newest: int) -> None:
    APPEND_BATCH_EVENTS.observe(events)
    EVENTS_APPENDED.inc(events)
    LOG_POSITION.set(newest)


def _outcome(error: Exception) -> str:
    if isinstance(error, StreamConflict):
        APPEND_CONFLICTS.inc()
        return "conflict"
    return "repeated" if isinstance(error, CommandRepeated) else "failed"


def _answer(row: asyncpg.Record) -> Answer:
    return Answer(row["fingerprint"], row["originator_id"], row["position"])


def _weight(append: Append) -> int:
    # The most frequent append has one event; a generator for it costs more than its sum.
    if len(append.events) == 1:
        return len(append.events[0].state)
    return sum(len(event.state) for event in append.events)


def _positions(batch: Sequence[Append], start: Sequence[int]) -> list[list[int] | Exception]:
    following = start[0]
    results: list[list[int] | Exception] = []
    for append in batch:
        results.append(list(range(following, following + len(append.events))))
        following += len(append.events)
    return results


def _columns(batch: Sequence[Append]) -> tuple[Any, ...]:
    """The batch as the arrays that the statements unnest: events, commands, keys."""
    events = [event for append in batch for event in append.events]
    commands = [append.command for append in batch if append.command is not None]
    ends = _ends(batch) if commands else [0] * len(batch)
    keys = [key for append in batch for key in append.keys]
    return (
        len(events),
        [event.originator_id for event in events],
        [event.originator_version for event in events],
        [event.topic for event in events],
        [event.state for event in events],
        [append.tenant for append in batch for _ in append.events],
        [command.id for command in commands],
        [command.tenant for command in commands],
        [command.fingerprint for command in commands],
        [command.originator_id for command in commands],
        [end for end, append in zip(ends, batch, strict=True) if append.command is not None],
        [key.subject_id for key in keys],
        [key.tenant for key in keys],
        [key.owner for key in keys],
        [key.wrapped for key in keys],
        [key.wrapping_version for key in keys],
    )


def _slices(batch: Sequence[Append]) -> tuple[list[int], list[int], list[int]]:
    """How many events, commands and keys each append of the batch has."""
    return (
        [len(append.events) for append in batch],
        [0 if append.command is None else 1 for append in batch],
        [len(append.keys) for append in batch],
    )


def _ends(batch: Iterable[Append]) -> list[int]:
    """For each append, the offset of its last event from the head before the batch."""
    ends: list[int] = []
    total = 0
    for append in batch:
        total += len(append.events)
        ends.append(total)
    return ends
