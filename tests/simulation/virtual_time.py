"""An event loop whose time is not the machine's: it jumps to the next timer when nothing is ready.

While a world runs, everything that tells time or draws lots is the world's: the same seed makes the
same history. Threads would be the machine's again, so what asks for one is run in place.
"""

import asyncio
import os
import random
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from unittest.mock import patch

NOON: Final = datetime(2026, 11, 23, 11, 59, 56, tzinfo=UTC)
"""A little before it, so that a minute passes in every storm."""
BEGIN_SECONDS: Final = 1_000.0


class Stuck(Exception):
    """Nothing is ready and no timer runs: the world would stand still for ever."""


class _NoDescriptors(selectors.BaseSelector):
    """Waits for nothing: a wait for so many seconds makes the loop's time pass."""

    def __init__(self) -> None:
        self.now = BEGIN_SECONDS
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, 0, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck(Stuck.__doc__)
        self.now += max(timeout, 0.0)
        return []

    def get_map(self) -> Any:
        return self._keys

    def close(self) -> None:
        self._keys.clear()


class VirtualLoop(asyncio.SelectorEventLoop):
    """See above."""

    def __init__(self) -> None:
        self.clock = _NoDescriptors()
        super().__init__(self.clock)

    def time(self) -> float:
        """Seconds since the world began, and a little more."""
        return self.clock.now


class VirtualClock:
    """The `Clock` of everybody in the world."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """The time of day."""
        return NOON + timedelta(seconds=self._loop.time() - BEGIN_SECONDS)

    def monotonic(self) -> float:
        """The time on the loop's scale."""
        return self._loop.time()


async def _in_place(function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
    await asyncio.sleep(0)
    return function(*arguments, **options)


@contextmanager
def virtual_time(seed: int) -> Iterator[VirtualLoop]:
    """A new loop; time, chance and threads are the world's until the end of the block."""
    loop = VirtualLoop()
    dice = random.Random(seed)
    kept = random.getstate()
    random.seed(seed)
    epoch = int(NOON.timestamp() * 1e9)
    with ExitStack() as stack:
        for owner, name, made in (
            (time, "monotonic", loop.time),
            (time, "perf_counter", loop.time),
            (time, "time_ns", lambda: epoch + int((loop.time() - BEGIN_SECONDS) * 1e9)),
            (os, "urandom", dice.randbytes),
            (asyncio, "to_thread", _in_place),
        ):
            stack.enter_context(patch.object(owner, name, made))
        try:
            yield loop
        finally:
            random.setstate(kept)
            loop.close()
