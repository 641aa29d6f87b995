"""What the stream brings a projector, badly: late, twice, in the wrong order, with holes."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from events.contracts.envelope import RecordedRow
from events.contracts.subjects import (
    EVENTS_STREAM,
    HEADER_AGGREGATE,
    HEADER_RECORDED_AT,
    HEADER_TENANT,
    HEADER_TOPIC,
    HEADER_VERSION,
)
from tests.simulation.nats_server import Message, SimNats
from tests.simulation.process import SimProcess

PAUSE_SECONDS_MAX: Final = 0.3
BATCH_MAX: Final = 12
MISCHIEF: Final = 0.25


class SimDelivery:
    """One batch; see `projectors.intake.Delivery`."""

    def __init__(self, batch: Sequence[RecordedRow], settled: Callable[[bool], None]) -> None:
        self._batch = batch
        self._settled = settled

    def rows(self, after: int) -> list[RecordedRow]:
        """The events after a position, in the order in which they came."""
        return [row for row in self._batch if row.position > after]

    def settle(self, *, applied: bool) -> None:
        """Say whether the batch is committed."""
        self._settled(applied)


class SimIntake:
    """Where a projector's events come from; see `projectors.intake.Intake`."""

    def __init__(self, process: SimProcess, server: SimNats, dice: random.Random) -> None:
        self.wake: Callable[[], None] = lambda: None
        self._process = process
        self._server = server
        self._dice = dice
        self._acked = 0
        self._waiting: SimDelivery | None = None
        self._listening: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to listen."""
        if self._listening is None:
            self._listening = asyncio.ensure_future(self._listen())
            self._process.tasks.append(self._listening)

    async def close(self) -> None:
        """Listen no more."""
        listening, self._listening, self._waiting = self._listening, None, None
        if listening is not None:
            listening.cancel()

    def take(self) -> SimDelivery | None:
        """The batch that waits."""
        waiting, self._waiting = self._waiting, None
        return waiting

    async def _listen(self) -> None:
        while True:
            await asyncio.sleep(self._dice.uniform(0.0, PAUSE_SECONDS_MAX))
            stream = self._server.streams.get(EVENTS_STREAM)
            if stream is None or not self._server.is_up or self._waiting is not None:
                continue
            last = min(stream.last, self._acked + self._dice.randint(1, BATCH_MAX))
            positions = [n for n in range(self._acked + 1, last + 1) if n in stream.messages]
            positions = self._mix_up(positions, stream.first)
            if positions:
                batch = [_row(n, stream.messages[n]) for n in positions]
                self._waiting = SimDelivery(batch, self._settles(max(positions)))
                self.wake()

    def _mix_up(self, positions: list[int], first: int) -> list[int]:
        if not positions or self._dice.random() >= MISCHIEF:
            return positions
        match self._dice.choice(["twice", "again", "shuffled", "hole"]):
            case "twice":
                return sorted(positions * 2)
            case "again":
                return list(range(max(first, positions[0] - 5), positions[-1] + 1))
            case "shuffled":
                return self._dice.sample(positions, len(positions))
            case _:
                return [n for n in positions if n != self._dice.choice(positions)]

    def _settles(self, last: int) -> Callable[[bool], None]:
        def settled(applied: bool) -> None:
            if applied:
                self._acked = max(self._acked, last)

        return settled


def _row(position: int, message: Message) -> RecordedRow:
    headers = message.headers
    return RecordedRow(
        position=position,
        originator_id=UUID(headers[HEADER_AGGREGATE]),
        originator_version=int(headers[HEADER_VERSION]),
        topic=headers[HEADER_TOPIC],
        state=message.body,
        tenant=headers[HEADER_TENANT],
        recorded_at=datetime.fromisoformat(headers[HEADER_RECORDED_AT]),
    )
