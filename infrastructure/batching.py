"""Natural batching: whatever queued up while the last round trip ran goes into the next one.

There is no timer: a lone caller waits for nobody, and a crowd shares its round trips. Results
come back to each caller on its own, so one caller's error is not its neighbour's.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Overloaded(Exception):
    """More is waiting than the process can hold; try again shortly."""


class Batcher(Generic[Item, Result]):
    """Turns single calls into batches for `flush`, one batch at a time.

    `flush` gets at least one and at most `batch_max` items whose weights add up to at most
    `weight_max` (a single heavier item travels alone) and returns one result or exception for
    each, in order; if it raises, every caller of that batch gets the exception. A caller that is
    cancelled leaves its item in the batch: whether it takes effect is then unknown to that caller.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        batch_max: int,
        waiting_max: int,
        weigh: Callable[[Item], int] | None = None,
        weight_max: int = 0,
    ) -> None:
        self._flush = flush
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._weigh = weigh
        self._weight_max = weight_max
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many items are not yet in a batch."""
        return len(self._waiting)

    async def submit(self, item: Item) -> Result:
        """Put one item into a coming batch and wait for its own result."""
        if self._closed or len(self._waiting) >= self._waiting_max:
            raise Overloaded(Overloaded.__doc__)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def close(self) -> None:
        """Refuse new items and wait for those that are under way."""
        self._closed = True
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._one_batch()
        finally:
            self._running = None

    async def _one_batch(self) -> None:
        batch = self._take()
        try:
            results = await self._flush([item for item, _ in batch])
        except Exception as error:
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        batch = [self._waiting.popleft()]
        if self._weigh is None:
            while self._waiting and len(batch) < self._batch_max:
                batch.append(self._waiting.popleft())
            return batch
        weight = self._weigh(batch[0][0])
        while self._waiting and len(batch) < self._batch_max:
            weight += self._weigh(self._waiting[0][0])
            if weight > self._weight_max:
                break
            batch.append(self._waiting.popleft())
        return batch
