"""A group of projections that stands at one position: it folds a batch and writes it as one.

All projections of a group see every event once, in order, and are written in one transaction with
their checkpoints, so that a reader who sees one of them at a position sees all of them there.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import Table

from events.contracts.catalogue import CLASS_OF
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from events.store.codec import Codec, CodecError, UnknownTopic
from infrastructure.metrics import PROJECTION_PARKED
from infrastructure.postgres import Connection
from projectors.parking import Parking, Poisoned, Reason
from projectors.projection import Projection
from projectors.projections.bulk_operations import BulkOperations
from projectors.projections.counters import JobCounters, OutcomeCounters
from projectors.projections.job import JOB_FACTS, JobRow
from projectors.projections.job_summary import JobSummary
from projectors.projections.job_timeline import JobTimeline
from projectors.projections.queues import Limits, QueueCounters, QueueStates
from projectors.projections.schedule_summary import ScheduleSummary
from projectors.projections.tool_catalogue import ToolCatalogue
from projectors.projections.workflow_summary import WorkflowSummary
from projectors.rows import KeyedRows, Rows, RowsChanged
from projectors.statements import Write

PLATFORM: Final = "platform"
"""The name of the one group that there is."""

_NUL: Final = b"\\u0000"
"""PostgreSQL holds no NUL in text or jsonb, so such an event is parked before it is written."""

Event = tuple[RecordedRow, AnyFact]
"""An event of the log, as it is recorded and as the fact that it tells."""
Fold = Callable[[AnyFact, RecordedRow, JobRow | None, str | None], None]


class Group:
    """The projections of the platform, and what they have folded so far."""

    def __init__(self, *, skip_unknown_topics: bool = False, codec: Codec | None = None) -> None:
        self.name = PLATFORM
        self.parking = Parking(self.name)
        self._codec = codec or Codec()
        self._skip_unknown_topics = skip_unknown_topics
        self._jobs = JobSummary()
        self.projections: Sequence[Projection] = (
            *(self._jobs, JobTimeline(), ToolCatalogue(), BulkOperations()),
            *(JobCounters(), OutcomeCounters(), ScheduleSummary()),
            *(QueueCounters(), QueueStates(), Limits(), WorkflowSummary()),
        )
        self._folds: dict[type[AnyFact], list[Fold]] = {}
        for projection in self.projections:
            for fact in projection.handles:
                folds = self._folds.setdefault(fact, [])
                if projection is not self._jobs:
                    folds.append(projection.fold)
        self._keyed = _keyed(self.projections)
        self._topics = {fact.TOPIC for fact in self._folds}
        self._kinds = {_kind(topic) for topic in self._topics}

    @property
    def names(self) -> list[str]:
        """The projections, by name."""
        return [projection.name for projection in self.projections]

    @property
    def all_rows(self) -> list[Rows]:
        """What they have folded, one for each."""
        return [projection.rows for projection in self.projections]

    @property
    def tables(self) -> list[Table]:
        """Their read models."""
        return [rows.table for rows in self.all_rows]

    @property
    def _all_keyed(self) -> list[KeyedRows[Any]]:
        return [rows for rows in self.all_rows if isinstance(rows, KeyedRows)]

    @property
    def fingerprint(self) -> str:
        """What the rows depend on besides the log; another one needs a generation of its own."""
        return ",".join(sorted(f"{one.name}={one.version}" for one in self.projections))

    @property
    def changed_jobs(self) -> list[JobRow]:
        """The jobs that were folded and are not yet settled."""
        return list(self._jobs.rows.touched)

    def decode(self, rows: Sequence[RecordedRow]) -> list[Event]:
        """The facts that somebody here folds; parks what cannot be read.

        Raises UnknownTopic for a topic that this version of the software does not know, unless
        such events are to be skipped.
        """
        events: list[Event] = []
        topics, parking, decode = self._topics, self.parking, self._codec.decode
        for row in rows:
            topic = row.topic
            if topic not in topics:
                if topic not in CLASS_OF:
                    self._skip(row, UnknownTopic(topic))
                continue
            if parking and parking.notes(row):
                continue
            state = row.state
            try:
                if _NUL in state:
                    raise CodecError("holds a NUL")
                fact = decode(topic, state, row.originator_id, row.originator_version)
            except UnknownTopic as error:
                self._skip(row, error)
            except CodecError as error:
                parking.park(Poisoned(row, Reason.UNREADABLE, error))
            else:
                events.append((row, fact))
        return events

    async def load(self, connection: Connection, generation: int, events: Sequence[Event]) -> None:
        """Read the rows that these events change and that are not in memory."""
        seen: set[UUID] = set()
        wanted: dict[int, list[UUID]] = {id(rows): [] for rows in self._keyed.values()}
        for row, fact in events:
            if row.originator_id not in seen:
                seen.add(row.originator_id)
                if row.originator_version > 1:
                    wanted[id(self._keyed[type(fact)])].append(row.originator_id)
        for rows in self._all_keyed:
            await rows.load(connection, generation, wanted[id(rows)])

    def fold(self, events: Sequence[Event]) -> None:
        """Fold these events; raises Poisoned or RowsChanged, and is then to be cleared."""
        evolve = self._jobs.evolve
        folds = self._folds
        row: RecordedRow | None = None
        try:
            for row, fact in events:
                kind = type(fact)
                job, before = evolve(fact, row) if kind in JOB_FACTS else (None, None)
                for fold in folds[kind]:
                    fold(fact, row, job, before)
        except RowsChanged:
            raise
        except Exception as error:
            raise Poisoned(cast(RecordedRow, row), Reason.FOLD_FAILED, error) from error

    def writes(self, generation: int) -> list[Write]:
        """What it takes to write all that was folded."""
        made = [write for rows in self.all_rows for write in rows.writes(generation)]
        return [*made, *self.parking.writes(generation)]

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

    def carried(self) -> Callable[[], None]:
        """Remember the rows that are begun; the answer undoes all that is folded after now."""
        begun = [(rows, rows.copy()) for rows in self._all_keyed]

        def undo() -> None:
            self.clear()
            for rows, copies in begun:
                for key, row in copies.items():
                    rows.add(key, row)

        return undo

    def _skip(self, row: RecordedRow, error: UnknownTopic) -> None:
        if not self._skip_unknown_topics:
            raise error
        PROJECTION_PARKED.labels(self.name, "unknown_topic").inc()
        if row.originator_version == 1 and _kind(row.topic) in self._kinds:
            self.parking.park(Poisoned(row, Reason.UNKNOWN_BEGINNING, error))


def _keyed(projections: Sequence[Projection]) -> dict[type[AnyFact], KeyedRows[Any]]:
    """Where the one row of an aggregate is that a fact is about."""
    return {
        fact: projection.rows
        for projection in projections
        if isinstance(projection.rows, KeyedRows)
        for fact in projection.handles
    }


def _kind(topic: str) -> str:
    """The kind of aggregate that a topic is about: `magictoolbox.job` of `magictoolbox.job.due`."""
    return topic.rpartition(".")[0]
