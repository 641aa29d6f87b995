"""How far the projections are, as this process knows, and the waiting for a position.

Each commit of a projection is told by a poke over core NATS. A poke can be lost, so while somebody
waits the checkpoints are read as well, a few times a second. What is known here is never ahead of
what a select that starts now sees, because pokes follow commits.
"""

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Final

import orjson
import structlog

from infrastructure import metrics
from infrastructure.batching import Overloaded
from infrastructure.periodic import Counts

WAIT_SECONDS_MAX: Final = 2.0
WAITERS_MAX: Final = 2_000
POLL_SECONDS: Final = 0.25

log = structlog.get_logger(__name__)

Names = tuple[str, ...]
Waiting = tuple[int, int, asyncio.Future[None]]
ReadCheckpoints = Callable[[], Awaitable[Mapping[str, int]]]


class AppliedPositions:
    """The highest position known of each projection; a ServiceLoop reads while anyone waits."""

    name = "applied_positions"

    def __init__(self, read_checkpoints: ReadCheckpoints) -> None:
        self._read_checkpoints = read_checkpoints
        self._known: dict[str, int] = {}
        self._waiting: dict[Names, list[Waiting]] = {}
        self._waiters = 0
        self._numbers = count()

    def lowest(self, names: Names) -> int:
        """The position that all of these projections have reached; 0 where nothing is known."""
        return min(self._known.get(name, 0) for name in names)

    def heard(self, poke: bytes) -> str | None:
        """Take note of a poke and say of which projection; one that cannot be read is ignored."""
        try:
            told = orjson.loads(poke)
            name, position = str(told["projection"]), int(told["position"])
        except (ValueError, KeyError, TypeError):
            log.warning("poke_unreadable")
            return None
        self.note({name: position})
        return name

    def note(self, positions: Mapping[str, int]) -> None:
        """Take note of positions that were reached, and wake those who waited for them."""
        for name, position in positions.items():
            if position > self._known.get(name, 0):
                self._known[name] = position
        for names, waiting in self._waiting.items():
            _wake(waiting, self.lowest(names))

    async def wait_for(self, names: Names, position: int, deadline: float) -> bool:
        """Wait until all of these projections have reached the position, or the deadline."""
        if self.lowest(names) >= position:
            return True
        if self._waiters >= WAITERS_MAX:
            raise Overloaded
        began = time.monotonic()
        reached = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(names, [])
        heapq.heappush(waiting, (position, next(self._numbers), reached))
        self._waiters += 1
        try:
            await asyncio.wait([reached], timeout=deadline - began)
        finally:
            self._waiters -= 1
            reached.cancel()
        return _observed(self.lowest(names) >= position, began)

    async def start(self) -> None:
        """Nothing has to be opened."""

    async def run_once(self) -> Counts:
        """Read the checkpoints, if somebody waits."""
        self._forget_gone()
        if not any(self._waiting.values()):
            return Counts()
        self.note(await self._read_checkpoints())
        return Counts(reads=1)

    async def stop(self) -> None:
        """Nothing was opened."""

    def _forget_gone(self) -> None:
        """Drop those who gave up, so that waiting for a far position gathers nobody."""
        for waiting in self._waiting.values():
            waiting[:] = [entry for entry in waiting if not entry[2].done()]
            heapq.heapify(waiting)


def _wake(waiting: list[Waiting], position: int) -> None:
    while waiting and waiting[0][0] <= position:
        _, _, reached = heapq.heappop(waiting)
        if not reached.done():
            reached.set_result(None)


def _observed(is_reached: bool, began: float) -> bool:
    outcome = "reached" if is_reached else "gave_up"
    metrics.POSITION_WAIT_SECONDS.labels(outcome).observe(time.monotonic() - began)
    return is_reached
