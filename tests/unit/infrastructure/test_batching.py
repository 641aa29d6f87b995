"""Callers share round trips, and nothing else."""

import asyncio
from collections.abc import Sequence

import pytest

from infrastructure.batching import Batcher, Overloaded


class Recorder:
    """A flush that can be held up, and that remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def flush(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        self.entered.set()
        await self.gate.wait()
        return [ValueError(item) if item < 0 else item * 2 for item in items]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def test_each_caller_gets_its_own_result(recorder: Recorder) -> None:
    batcher = Batcher(recorder.flush, batch_max=10, waiting_max=100)

    results = await asyncio.gather(*(batcher.submit(n) for n in range(25)))

    assert results == [n * 2 for n in range(25)]
    assert max(map(len, recorder.batches)) == 10


async def test_what_queues_up_during_a_flush_goes_together(recorder: Recorder) -> None:
    batcher = Batcher(recorder.flush, batch_max=10, waiting_max=100)
    recorder.gate.clear()
    first = asyncio.create_task(batcher.submit(1))
    await recorder.entered.wait()
    others = [asyncio.create_task(batcher.submit(n)) for n in (2, 3, 4)]
    await asyncio.sleep(0)
    recorder.gate.set()

    await asyncio.gather(first, *others)

    assert recorder.batches == [[1], [2, 3, 4]]


async def test_an_error_is_its_own_callers_only(recorder: Recorder) -> None:
    batcher = Batcher(recorder.flush, batch_max=10, waiting_max=100)

    results = await asyncio.gather(*(batcher.submit(n) for n in (1, -1, 2)), return_exceptions=True)

    assert (results[0], results[2]) == (2, 4)
    assert isinstance(results[1], ValueError)


async def test_a_failed_flush_fails_its_batch_and_not_the_next() -> None:
    calls = 0

    async def flush(items: Sequence[int]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError
        return list(items)

    batcher = Batcher(flush, batch_max=10, waiting_max=100)

    with pytest.raises(ConnectionError):
        await batcher.submit(1)
    assert await batcher.submit(2) == 2


async def test_weight_limits_a_batch_and_a_heavy_item_travels_alone(recorder: Recorder) -> None:
    batcher = Batcher(
        recorder.flush, batch_max=10, waiting_max=100, weigh=lambda n: n, weight_max=10
    )

    await asyncio.gather(*(batcher.submit(n) for n in (4, 4, 4, 50, 1)))

    assert recorder.batches == [[4, 4], [4], [50], [1]]


async def test_more_than_can_wait_is_refused(recorder: Recorder) -> None:
    batcher = Batcher(recorder.flush, batch_max=1, waiting_max=2)
    recorder.gate.clear()
    waiting = [asyncio.create_task(batcher.submit(0))]
    await recorder.entered.wait()
    waiting += [asyncio.create_task(batcher.submit(n)) for n in (1, 2)]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await batcher.submit(9)

    recorder.gate.set()
    assert await asyncio.gather(*waiting) == [0, 2, 4]


async def test_a_cancelled_caller_does_not_hold_up_the_others(recorder: Recorder) -> None:
    batcher = Batcher(recorder.flush, batch_max=10, waiting_max=100)
    tasks = [asyncio.create_task(batcher.submit(n)) for n in (1, 2)]
    await asyncio.sleep(0)
    tasks[0].cancel()

    assert await tasks[1] == 4


async def test_closing_waits_for_what_is_under_way_and_refuses_the_rest(
    recorder: Recorder,
) -> None:
    batcher = Batcher(recorder.flush, batch_max=10, waiting_max=100)
    under_way = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0)

    await batcher.close()

    assert under_way.done()
    with pytest.raises(Overloaded):
        await batcher.submit(2)
