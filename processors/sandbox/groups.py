"""One group of tools and the zygote that forks its runs: started when wanted, ended when not.

A zygote has the libraries of its group loaded, and no others: a fork stays small, and a library of
one group never runs in the process of another. A group that was not used for a while gives its
memory back; the next run of it waits for a new zygote.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from processors.sandbox.run import Isolation
from processors.sandbox.zygote_process import ZygoteDied, ZygoteProcess
from processors.tools.base import ToolCrashed
from processors.uninterrupted import uninterrupted


@dataclass(frozen=True, slots=True)
class Nursery:
    """How all zygotes of a sandbox are started."""

    registry: str
    environment: Mapping[str, str]
    without: Sequence[str]
    idle_seconds: float


class Group:
    """The zygote of one group of tools; there is at most one at a time."""

    def __init__(
        self, name: str, nursery: Nursery, promised: Isolation | None, *, rests: bool
    ) -> None:
        """`promised` is what the runs were claimed with: a zygote below it is not used.

        A group that never `rests` keeps its zygote while it is not used.
        """
        self.zygote: ZygoteProcess | None = None
        self._name = name
        self._nursery = nursery
        self._promised = promised
        self._rests = rests
        self._starting = asyncio.Lock()
        self._users = 0
        self._rest: asyncio.TimerHandle | None = None
        self._resting: asyncio.Task[None] | None = None

    async def start(self) -> ZygoteProcess:
        """The living zygote; raises ToolCrashed when there is no way to have one."""
        async with self._starting:
            if self.zygote is None or not self.zygote.is_alive:
                self.zygote = await self._born()
            return self.zygote

    @asynccontextmanager
    async def used(self) -> AsyncIterator[ZygoteProcess]:
        """The living zygote, which is not ended meanwhile."""
        self._users += 1
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        try:
            yield await self.start()
        finally:
            self._users -= 1
            if self._users == 0 and self._rests:
                loop = asyncio.get_running_loop()
                self._rest = loop.call_later(self._nursery.idle_seconds, self._go_to_rest)

    async def stop(self) -> None:
        """End the zygote and every run of it."""
        if self._rest is not None:
            self._rest.cancel()
        async with self._starting:
            zygote, self.zygote = self.zygote, None
            if zygote is not None:
                await uninterrupted(zygote.stop())

    def _go_to_rest(self) -> None:
        self._rest = None
        self._resting = asyncio.create_task(self._end_unused(), name=f"rest of {self._name}")

    async def _end_unused(self) -> None:
        async with self._starting:
            if self._users == 0 and self.zygote is not None:
                zygote, self.zygote = self.zygote, None
                await uninterrupted(zygote.stop())

    async def _born(self) -> ZygoteProcess:
        nursery = self._nursery
        try:
            zygote = await ZygoteProcess.start(
                nursery.registry, self._name, nursery.environment, nursery.without
            )
        except (ZygoteDied, OSError) as error:
            raise ToolCrashed("The sandbox does not start.", stack=repr(error)) from error
        self._promised = self._promised or zygote.isolation
        if zygote.isolation.level < self._promised.level:
            await uninterrupted(zygote.stop())
            missing = "; ".join(zygote.isolation.missing)
            raise ToolCrashed("The sandbox is weaker than it was.", stack=missing)
        return zygote
