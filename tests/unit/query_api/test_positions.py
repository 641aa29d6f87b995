"""Waiting for a position: woken by pokes, by reads of the checkpoints, or by the deadline."""

import asyncio
import time
from collections.abc import AsyncIterator

import orjson
import pytest

from infrastructure.batching import Overloaded
from infrastructure.periodic import ServiceLoop
from query_api import positions
from query_api.errors import Unavailable
from query_api.positions import AppliedPositions

BOTH = ("job_summary", "job_timeline")
LONG = 60.0


class Checkpoints:
    """The checkpoints as the database would tell them."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.fails = False
        self.reads = 0
        self.was_read = asyncio.Event()

    async def read(self) -> dict[str, int]:
        self.reads += 1
        self.was_read.set()
        if self.fails:
            raise Unavailable
        return dict(self.known)


@pytest.fixture
def checkpoints() -> Checkpoints:
    return Checkpoints()


@pytest.fixture
async def applied(checkpoints: Checkpoints) -> AsyncIterator[AppliedPositions]:
    applied = AppliedPositions(checkpoints.read)
    loop = ServiceLoop(applied, idle_seconds=0.01)
    running = asyncio.create_task(loop.run())
    yield applied
    loop.drain()
    await running


def poke(applied: AppliedPositions, name: str, position: int) -> None:
    applied.heard(orjson.dumps({"projection": name, "position": position}))


async def waiting(applied: AppliedPositions, position: int, seconds: float = LONG) -> bool:
    return await applied.wait_for(BOTH, position, time.monotonic() + seconds)


async def test_the_slowest_projection_counts(applied: AppliedPositions) -> None:
    poke(applied, "job_summary", 7)

    assert applied.lowest(BOTH) == 0
    poke(applied, "job_timeline", 5)
    assert applied.lowest(BOTH) == 5


async def test_a_position_never_falls(applied: AppliedPositions) -> None:
    poke(applied, "job_summary", 7)
    poke(applied, "job_summary", 6)

    assert applied.lowest(("job_summary",)) == 7


async def test_a_waiter_is_woken_by_the_last_poke_it_needs(applied: AppliedPositions) -> None:
    waits = asyncio.create_task(waiting(applied, 5))
    poke(applied, "job_summary", 5)
    await asyncio.sleep(0)

    assert not waits.done()
    poke(applied, "job_timeline", 9)
    assert await waits


async def test_a_lost_poke_is_made_good_by_reading(
    applied: AppliedPositions, checkpoints: Checkpoints
) -> None:
    checkpoints.known = dict.fromkeys(BOTH, 5)

    assert await waiting(applied, 5)


async def test_reading_goes_on_after_the_database_was_away(
    applied: AppliedPositions, checkpoints: Checkpoints
) -> None:
    checkpoints.fails = True
    waits = asyncio.create_task(waiting(applied, 5))
    await checkpoints.was_read.wait()
    checkpoints.fails = False
    checkpoints.known = dict.fromkeys(BOTH, 5)

    assert await waits


async def test_nobody_waits_longer_than_the_deadline(applied: AppliedPositions) -> None:
    began = time.monotonic()

    assert not await waiting(applied, 5, 0.05)
    assert time.monotonic() - began < LONG


async def test_a_poke_that_cannot_be_read_is_ignored(applied: AppliedPositions) -> None:
    for body in (b"", b"[]", b"{}", b'{"projection": "job_summary", "position": null}'):
        assert applied.heard(body) is None

    assert applied.lowest(("job_summary",)) == 0


async def test_more_waiters_than_the_limit_are_refused(
    applied: AppliedPositions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "WAITERS_MAX", 1)
    first = asyncio.create_task(waiting(applied, 5))
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await waiting(applied, 5)
    for name in BOTH:
        poke(applied, name, 5)
    assert await first


async def test_one_who_gave_up_makes_room(
    applied: AppliedPositions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "WAITERS_MAX", 1)

    assert not await waiting(applied, 5, 0.01)
    assert not await waiting(applied, 5, 0.01)


async def test_checkpoints_are_read_only_while_somebody_waits(checkpoints: Checkpoints) -> None:
    applied = AppliedPositions(checkpoints.read)
    assert (await applied.run_once()).is_idle

    waits = asyncio.create_task(waiting(applied, 5))
    await asyncio.sleep(0)
    assert not (await applied.run_once()).is_idle
    checkpoints.known = dict.fromkeys(BOTH, 5)
    assert not (await applied.run_once()).is_idle

    assert await waits
    assert (await applied.run_once()).is_idle
    assert checkpoints.reads == 2


async def test_one_who_gave_up_keeps_nothing_going(checkpoints: Checkpoints) -> None:
    applied = AppliedPositions(checkpoints.read)

    assert not await waiting(applied, 5, 0.01)

    assert (await applied.run_once()).is_idle
