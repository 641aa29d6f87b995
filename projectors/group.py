"""A group of projections that stands at one position: it folds a batch and writes it as one.

All projections of a group see every event once, in order, and are written in one transaction with
their checkpoints, so that a reader who sees one of them at a position sees all of them there.
"""

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Table

from events.contracts.catalogue import CLASS_OF
from events.contracts.envelope import RecordedEvent, RecordedRow
from events.contracts.fact import AnyFact
from events.store.codec import Codec, CodecError, UnknownTopic
from infrastructure.metrics import PROJECTION_PARKED
from infrastructure.postgres import Connection
from projectors.parking import Parking, Poisoned, Reason
from projectors.projection import Projection
from projectors.projections.counters import JobCounters, OutcomeCounters
from projectors.projections.job import JOB_FACTS, JobRow
from projectors.projections.job_summary import JobSummary
from projectors.projections.job_timeline import JobTimeline
from projectors.projections.tool_catalogue import ToolCatalogue
from projectors.rows import RowsChanged

PLATFORM: Final = "platform"
"""The name of the one group that there is."""

_NUL: Final = b"\\u0000"
"""PostgreSQL holds no NUL in text or jsonb, so such an event is parked before it is written."""

Fold = Callable[[RecordedEvent, JobRow | None, str | None], None]


class Group:
    """The projections of the platform, and what they have folded so far."""

    def __init__(self, *, skip_unknown_topics: bool = False, codec: Codec | None = None) -> None:
        self.name = PLATFORM
        self.parking = Parking(self.name)
        self._codec = codec or Codec()
        self._skip_unknown_topics = skip_unknown_topics
        self._jobs = JobSummary()
        self._tools = ToolCatalogue()
        self.projections: Sequence[Projection] = (
            *(self._jobs, JobTimeline(), self._tools),
            *(JobCounters(), OutcomeCounters()),
        )
        self._folds: dict[type[AnyFact], list[Fold]] = {}
        for projection in self.projections:
            for fact in projection.handles:
                self._folds.setdefault(fact, []).append(projection.fold)

    @property
    def names(self) -> list[str]:
        """The projections, by name."""
        return [projection.name for projection in self.projections]

    @property
    def tables(self) -> list[Table]:
        """Their read models."""
        return [projection.rows.table for projection in self.projections]

    @property
    def topics(self) -> list[str]:
        """The topics that any of them folds."""
        return [fact.TOPIC for fact in self._folds]

    @property
    def fingerprint(self) -> str:
        """What the rows depend on besides the log; another one needs a generation of its own."""
        return ",".join(sorted(f"{one.name}={one.version}" for one in self.projections))

    @property
    def changed_jobs(self) -> list[JobRow]:
        """The jobs that were folded and are not yet settled."""
        return list(self._jobs.rows.touched)

    def decode(self, rows: Sequence[RecordedRow]) -> list[RecordedEvent]:
        """The events that somebody here folds; parks what cannot be read.

        Raises UnknownTopic for a topic that this version of the software does not know, unless
        such events are to be skipped.
        """
        events: list[RecordedEvent] = []
        for row in rows:
            fact_class = CLASS_OF.get(row.topic)
            if fact_class is None:
                self._unknown(UnknownTopic(row.topic))
            elif fact_class in self._folds and not self.parking.notes(row):
                event = self._decoded(row)
                if event is not None:
                    events.append(event)
        return events

    async def load(
        self, connection: Connection, generation: int, events: Sequence[RecordedEvent]
    ) -> None:
        """Read the rows that these events change and that are not in memory."""
        seen: set[UUID] = set()
        begun: dict[bool, list[UUID]] = {True: [], False: []}
        for event in events:
            key = event.fact.originator_id
            if key not in seen:
                seen.add(key)
                if event.fact.originator_version > 1:
                    begun[type(event.fact) in JOB_FACTS].append(key)
        await self._jobs.rows.load(connection, generation, begun[True])
        await self._tools.rows.load(connection, generation, begun[False])

    def fold(self, rows: Sequence[RecordedRow], events: Sequence[RecordedEvent]) -> None:
        """Fold these events; raises Poisoned or RowsChanged, and is then to be cleared."""
        jobs = self._jobs
        folds = self._folds
        position = 0
        try:
            for event in events:
                position = event.position
                kind = type(event.fact)
                job, before = jobs.evolve(event) if kind in JOB_FACTS else (None, None)
                for fold in folds[kind]:
                    fold(event, job, before)
        except RowsChanged:
            raise
        except Exception as error:
            row = next(row for row in rows if row.position == position)
            raise Poisoned(row, Reason.FOLD_FAILED, error) from error

    async def write(self, connection: Connection, generation: int) -> None:
        """Write all that was folded; raises RowsChanged."""
        for projection in self.projections:
            await projection.rows.write(connection, generation)
        await self.parking.write(connection, generation)

    def settle(self) -> None:
        """What was written is committed."""
        for projection in self.projections:
            projection.rows.settle()
        self.parking.settle()

    def clear(self) -> None:
        """What was folded did not happen."""
        for projection in self.projections:
            projection.rows.clear()
        self.parking.forget_followers()

    def _decoded(self, row: RecordedRow) -> RecordedEvent | None:
        try:
            if _NUL in row.state:
                raise CodecError("holds a NUL")
            return self._codec.decode_row(row)
        except UnknownTopic as error:
            self._unknown(error)
        except CodecError as error:
            self.parking.park(Poisoned(row, Reason.UNREADABLE, error))
        return None

    def _unknown(self, error: UnknownTopic) -> None:
        if not self._skip_unknown_topics:
            raise error
        PROJECTION_PARKED.labels(self.name, "unknown_topic").inc()
