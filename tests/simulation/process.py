"""A process of the world: it runs tasks, reaches for ports, is cut off, frozen, killed.

Everything outside of a process is behind its ports, and every port passes through `reach` before it
takes effect and through `returned` after. Those are the awaits at which a process can die: before
its effect, or after it and before it knows. A dead process reaches nothing any more, so that what
its code does on being cancelled, which no killed process does, changes nothing.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

LATENCY_SECONDS_MAX: Final = 0.004
SLOW_SECONDS_MAX: Final = 0.2


class Away(ConnectionError):
    """PostgreSQL does not answer."""


@dataclass
class Weather:
    """What may go wrong now, as chances between 0 and 1 for each reach for a port."""

    slow: float = 0.0
    refused: float = 0.0
    """The connection breaks before anything happened."""
    answer_lost: float = 0.0
    """The connection breaks after it happened."""
    is_postgres_away: bool = False
    """For everybody: it was killed and is being restarted."""


@dataclass(eq=False)
class SimProcess:
    """One process from its start to its death; whoever starts it again makes a new one."""

    name: str
    dice: random.Random
    weather: Weather
    alive: bool = True
    dies_in: int | None = None
    """After so many more reaches; None: not by itself."""
    thawed: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    on_death: list[Callable[[], None]] = field(default_factory=list)
    was_frozen: bool = False

    def __post_init__(self) -> None:
        self.thawed.set()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a task of this process."""
        self.tasks.append(asyncio.ensure_future(coroutine))

    def freeze(self) -> None:
        """As SIGSTOP: nothing it reaches for is reached."""
        self.was_frozen = True
        self.thawed.clear()

    def thaw(self) -> None:
        """As SIGCONT."""
        self.thawed.set()

    def kill(self) -> None:
        """As SIGKILL: nothing it does from now on has an effect."""
        if not self.alive:
            return
        self.alive = False
        self.thawed.set()
        for notice in self.on_death:
            notice()
        for task in self.tasks:
            task.cancel()

    async def travel(self) -> None:
        """Be on the way, to somebody who is always there; or die."""
        self.must_live()
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in <= 0:
                self.kill()
                self.must_live()
        await asyncio.sleep(self._latency())
        await self.thawed.wait()
        self.must_live()

    async def reach(self) -> None:
        """Be on the way to somebody else; raises Away, or dies."""
        await self.travel()
        if self.weather.is_postgres_away or self._happens(self.weather.refused):
            raise Away

    async def returned(self) -> None:
        """Be on the way back, after the effect; raises Away, or dies."""
        await self.travel()
        if self._happens(self.weather.answer_lost):
            raise Away

    def must_live(self) -> None:
        """Raise CancelledError in what is left of a dead process."""
        if not self.alive:
            raise asyncio.CancelledError

    def _latency(self) -> float:
        if self._happens(self.weather.slow):
            return self.dice.uniform(0.0, SLOW_SECONDS_MAX)
        # Often none at all, so that much happens at one and the same moment.
        return max(0.0, self.dice.uniform(-LATENCY_SECONDS_MAX, LATENCY_SECONDS_MAX))

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self.dice.random() < chance


class Port:
    """Something outside as one process reaches it: a call may be late, refused or half heard."""

    def __init__(self, process: SimProcess, target: Any) -> None:
        self._process = process
        self._target = target

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._target, name)
        if not asyncio.iscoroutinefunction(attribute):
            return attribute
        return self._through(attribute)

    def _through(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def through(*arguments: Any, **options: Any) -> Any:
            await self._process.reach()
            answer = await call(*arguments, **options)
            await self._process.returned()
            return answer

        return through


class DiskPort(Port):
    """What lies on the machine itself: it is slow at times, and always there."""

    def _through(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def through(*arguments: Any, **options: Any) -> Any:
            await self._process.travel()
            answer = await call(*arguments, **options)
            await self._process.travel()
            return answer

        return through
