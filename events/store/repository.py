"""Loads aggregates from the log and saves what they decided.

The only door to the append: services work with aggregates and never with rows. Loads that are asked
for at the same moment share one round trip, as appends do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from events.domain.aggregate import Aggregate
from events.domain.errors import NotFound
from events.store.append import (
    Answer,
    Append,
    Appender,
    Command,
    CommandRepeated,
    LogUnavailable,
    OutcomeUnknown,
    PostgresAppender,
    StreamConflict,
)
from events.store.codec import Codec
from events.store.log import Log, PostgresLog
from events.store.sealing import WrappedKey
from infrastructure.batching import Batcher, Overloaded
from infrastructure.postgres import UNAVAILABLE, Pool, Role
from infrastructure.settings import PostgresSettings

__all__ = [
    "Answer",
    "Command",
    "CommandRepeated",
    "LogUnavailable",
    "OutcomeUnknown",
    "Repository",
    "Saved",
    "StreamConflict",
    "open_repository",
]

LOADS_IN_BATCH_MAX: Final = 500
LOADS_WAITING_MAX: Final = 20_000
DECISIONS_MAX: Final = 10
"""How often a decision is made again because somebody else was faster."""

_CANNOT_LOAD: tuple[type[BaseException], ...] = (*UNAVAILABLE, Overloaded)

A = TypeVar("A", bound=Aggregate)


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save recorded."""

    facts: tuple[AnyFact, ...]
    positions: tuple[int, ...]

    @property
    def position(self) -> int:
        """The position of the last event; 0 if there was nothing to record."""
        return self.positions[-1] if self.positions else 0


def open_repository(
    settings: PostgresSettings,
    role: Role,
    pool: Pool,
    on_appended: Callable[[int], None] = lambda position: None,
) -> "Repository":
    """The repository of a process: it loads over the pool and appends over one connection.

    `on_appended` is called after each commit with the newest position, to ring the bell.
    """
    appender = PostgresAppender(
        settings.dsn,
        role,
        on_appended=on_appended,
        timeout_seconds=settings.database_timeout_seconds,
    )
    return Repository(PostgresLog(pool), appender)


class Repository:
    """Aggregates of one process."""

    def __init__(self, log: Log, appender: Appender, codec: Codec | None = None) -> None:
        self._log = log
        self._appender = appender
        self._codec = codec or Codec()
        self._loads: Batcher[UUID, list[RecordedRow]] = Batcher(
            self._load_streams, batch_max=LOADS_IN_BATCH_MAX, waiting_max=LOADS_WAITING_MAX
        )

    async def load(
        self, aggregate_class: type[A], aggregate_id: UUID, *, version: int | None = None
    ) -> A:
        """The aggregate as its history makes it, now or at a version.

        Raises NotFound if there is no such history or it is of another kind, LogUnavailable.
        """
        try:
            rows = await self._loads.submit(aggregate_id)
        except _CANNOT_LOAD as error:
            raise LogUnavailable(LogUnavailable.__doc__) from error
        return self.fold(aggregate_class, rows if version is None else rows[:version])

    def fold(
        self, aggregate_class: type[A], rows: Sequence[RecordedRow], onto: A | None = None
    ) -> A:
        """Fold a history, oldest first; raises NotFound if it is empty or of another kind.

        `onto` is the aggregate as it was before these rows; it is changed in place.
        """
        aggregate: Any = onto
        for row in rows:
            aggregate = self._codec.decode_row(row).fact.mutate(aggregate)
        if not isinstance(aggregate, aggregate_class):
            raise NotFound
        return aggregate

    async def save(
        self,
        *aggregates: Aggregate,
        command: Command | None = None,
        keys: Sequence[WrappedKey] = (),
    ) -> Saved:
        """Record what these aggregates decided, all or nothing.

        Raises StreamConflict, CommandRepeated, LogUnavailable, OutcomeUnknown. After an error the
        aggregates must be loaded anew.
        """
        facts = [fact for aggregate in aggregates for fact in aggregate.collect_events()]
        if not facts:
            return Saved((), ())
        append = Append(
            tenant=facts[0].tenant,  # type: ignore[attr-defined]
            events=[self._codec.to_stored_event(fact) for fact in facts],
            command=command,
            keys=keys,
        )
        positions = await self._appender.append(append)
        return Saved(tuple(facts), tuple(positions))  # type: ignore[arg-type]

    async def change(
        self, aggregate_class: type[A], aggregate_id: UUID, decide: Callable[[A], object]
    ) -> tuple[A, Saved]:
        """Load, let `decide` act on the aggregate, save; again if somebody else was faster.

        Raises whatever `decide` raises, NotFound, LogUnavailable, OutcomeUnknown, and
        StreamConflict after `DECISIONS_MAX` lost races.
        """
        for _ in range(DECISIONS_MAX):
            aggregate = await self.load(aggregate_class, aggregate_id)
            decide(aggregate)
            try:
                return aggregate, await self.save(aggregate)
            except StreamConflict:
                continue
        raise StreamConflict(StreamConflict.__doc__)

    async def answer_to(self, command_id: UUID) -> Answer | None:
        """What a recorded command led to."""
        return await self._appender.answer_to(command_id)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._loads.close()
        await self._appender.close()

    async def _load_streams(self, ids: Sequence[UUID]) -> Sequence[list[RecordedRow]]:
        streams = await self._log.read_streams(list(dict.fromkeys(ids)))
        return [streams.get(aggregate_id, []) for aggregate_id in ids]
