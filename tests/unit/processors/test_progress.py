"""Progress is told often enough to be lively, and the last word is never lost."""

import asyncio
import json
import threading

from processors.progress import PER_SECOND_MAX, ProgressTold
from tests.fixtures.events import submitted_job

SECONDS_MAX = 20.0


class Heard:
    def __init__(self) -> None:
        self.told: list[float] = []
        self.came = asyncio.Event()

    def __call__(self, subject: str, body: bytes) -> None:
        self.told.append(json.loads(body)["percent"])
        self.came.set()

    async def until(self, percent: float) -> None:
        async with asyncio.timeout(SECONDS_MAX):
            while percent not in self.told:
                self.came.clear()
                await self.came.wait()


async def test_the_first_word_is_told_at_once_and_the_last_one_soon() -> None:
    heard = Heard()
    told = ProgressTold(submitted_job(), heard)

    for percent in range(1, 100):
        told(percent / 100, "")
    first = list(heard.told)
    await heard.until(99.0)

    assert first == [1.0]
    assert heard.told == [1.0, 99.0]


async def test_a_flood_becomes_a_few_words_a_second() -> None:
    heard = Heard()
    told = ProgressTold(submitted_job(), heard)
    loop = asyncio.get_running_loop()
    began = loop.time()

    while loop.time() < began + 0.5:
        told(0.5, "")
        await asyncio.sleep(0)

    assert len(heard.told) <= (loop.time() - began) * PER_SECOND_MAX + 1


async def test_it_may_be_told_from_another_thread() -> None:
    heard = Heard()
    told = ProgressTold(submitted_job(), heard)

    thread = threading.Thread(target=lambda: [told(percent / 10, "") for percent in range(11)])
    thread.start()
    thread.join()
    await heard.until(100.0)
