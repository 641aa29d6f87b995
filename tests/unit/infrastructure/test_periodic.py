"""The loop of long-lived services: it goes on, it does not run hot, and it says how it is."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from infrastructure import periodic
from infrastructure.health import CheckFailed
from infrastructure.metrics import REGISTRY
from infrastructure.periodic import (
    PAUSE_SECONDS_FIRST,
    PAUSE_SECONDS_MAX,
    Counts,
    Halt,
    ServiceLoop,
    pause_seconds,
)

SECONDS_MAX = 30.0

Step = Callable[[], Awaitable[Counts]]


class Recorder:
    """A service that does what it is told and keeps a diary."""

    def __init__(self, name: str = "recorder") -> None:
        self.name = name
        self.diary: list[str] = []
        self.times: list[float] = []
        self.on_start: list[Exception] = []
        self.step: Step = self.idle
        self.ran = asyncio.Event()

    async def start(self) -> None:
        self.diary.append("start")
        if self.on_start:
            raise self.on_start.pop(0)

    async def run_once(self) -> Counts:
        self.diary.append("run")
        self.times.append(time.monotonic())
        self.ran.set()
        return await self.step()

    async def stop(self) -> None:
        self.diary.append("stop")

    async def idle(self) -> Counts:
        return Counts(done=0)

    @property
    def runs(self) -> int:
        return self.diary.count("run")

    async def until_runs(self, count: int) -> None:
        async with asyncio.timeout(SECONDS_MAX):
            while self.runs < count:
                self.ran.clear()
                await self.ran.wait()


class Running:
    """A loop in a task, drained when the test leaves it."""

    def __init__(self, loop: ServiceLoop) -> None:
        self.loop = loop

    async def __aenter__(self) -> ServiceLoop:
        self.task = asyncio.create_task(self.loop.run())
        return self.loop

    async def __aexit__(self, *_: object) -> None:
        self.loop.drain()
        async with asyncio.timeout(SECONDS_MAX):
            await self.task


async def test_a_service_starts_runs_and_stops() -> None:
    service = Recorder()

    async with Running(ServiceLoop(service, idle_seconds=60)):
        await service.until_runs(1)

    assert service.diary == ["start", "run", "stop"]


async def test_more_asks_for_the_next_run_at_once() -> None:
    service = Recorder()

    async def three_times() -> Counts:
        return Counts(done=1, more=service.runs < 3)

    service.step = three_times
    async with Running(ServiceLoop(service, idle_seconds=60)):
        await service.until_runs(3)
        await asyncio.sleep(0)

    assert service.runs == 3


async def test_without_more_it_waits_the_idle_interval() -> None:
    service = Recorder()

    async with Running(ServiceLoop(service, idle_seconds=0.05)):
        await service.until_runs(3)

    assert service.times[2] - service.times[0] >= 0.09


async def test_wake_cuts_the_wait_short() -> None:
    service = Recorder()

    async with Running(ServiceLoop(service, idle_seconds=60)) as loop:
        await service.until_runs(1)
        await asyncio.sleep(0)
        loop.wake()
        await service.until_runs(2)


async def test_a_wake_from_outside_is_the_same() -> None:
    service, bell = Recorder(), asyncio.Event()

    async with Running(ServiceLoop(service, wake=bell, idle_seconds=60)):
        await service.until_runs(1)
        await asyncio.sleep(0)
        bell.set()
        await service.until_runs(2)


async def test_a_wake_during_a_run_is_not_lost() -> None:
    service = Recorder()
    go_on = asyncio.Event()

    async def first_waits() -> Counts:
        if service.runs == 1:
            await go_on.wait()
        return Counts()

    service.step = first_waits
    async with Running(ServiceLoop(service, idle_seconds=60)) as loop:
        await service.until_runs(1)
        loop.wake()
        go_on.set()
        await service.until_runs(2)


async def test_a_drain_lets_the_run_in_progress_finish() -> None:
    service = Recorder()
    go_on = asyncio.Event()
    finished: list[bool] = []

    async def slow() -> Counts:
        await go_on.wait()
        finished.append(True)
        return Counts(done=1, more=True)

    service.step = slow
    loop = ServiceLoop(service)
    task = asyncio.create_task(loop.run())
    await service.until_runs(1)
    loop.drain()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    await asyncio.wait_for(task, SECONDS_MAX)

    assert finished == [True]
    assert service.diary == ["start", "run", "stop"]


async def test_failures_do_not_end_the_service_and_do_not_run_hot() -> None:
    service = Recorder("failing")

    async def fail() -> Counts:
        if service.runs <= 4:
            raise OSError("away")
        return Counts(done=1)

    service.step = fail
    with capture_logs() as logs:
        async with Running(ServiceLoop(service, idle_seconds=60, pause_seconds_max=0.2)):
            await service.until_runs(5)

    # Pauses of at least 50, 100, 100 and 100 ms lie between.
    assert service.times[4] - service.times[0] >= 0.3
    events = [record["event"] for record in logs]
    assert events.count("service_run_failed") == 1
    assert events.count("service_recovered") == 1
    assert _metric("magictoolbox_service_errors_total", service="failing", kind="OSError") == 4


async def test_each_kind_of_failure_is_logged_once() -> None:
    service = Recorder()
    kinds = [OSError, ValueError, OSError, ValueError]

    async def fail() -> Counts:
        raise kinds[(service.runs - 1) % 4]("x")

    service.step = fail
    with capture_logs() as logs:
        async with Running(ServiceLoop(service, pause_seconds_max=0.01)):
            await service.until_runs(4)

    assert [r["kind"] for r in logs if r["event"] == "service_run_failed"] == [
        "OSError",
        "ValueError",
    ]


async def test_waking_does_not_cut_the_pause_after_a_failure_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(periodic, "PAUSE_SECONDS_FIRST", SECONDS_MAX)
    service = Recorder()

    async def fail() -> Counts:
        raise OSError("away")

    service.step = fail
    async with Running(ServiceLoop(service, pause_seconds_max=SECONDS_MAX)) as loop:
        await service.until_runs(1)
        for _ in range(20):
            loop.wake()
            await asyncio.sleep(0)
        assert service.runs == 1


async def test_a_start_that_fails_is_tried_again() -> None:
    service = Recorder()
    service.on_start = [OSError("not yet"), OSError("not yet")]

    async with Running(ServiceLoop(service, pause_seconds_max=0.01, idle_seconds=60)):
        await service.until_runs(1)

    assert service.diary == ["start", "start", "start", "run", "stop"]


async def test_a_run_that_hangs_is_ended_and_counted_as_failed() -> None:
    service = Recorder("hanging")

    async def hang() -> Counts:
        if service.runs == 1:
            await asyncio.Event().wait()
        return Counts()

    service.step = hang
    async with Running(ServiceLoop(service, run_seconds_max=0.02, pause_seconds_max=0.01)):
        await service.until_runs(2)

    assert _metric("magictoolbox_service_errors_total", service="hanging", kind="TimeoutError") == 1


async def test_a_halted_service_stays_halted_and_is_not_ready() -> None:
    service = Recorder()

    async def halt() -> Counts:
        raise Halt("the stream is ahead of the log")

    service.step = halt
    loop = ServiceLoop(service, idle_seconds=0.001)
    with capture_logs() as logs:
        async with Running(loop):
            await service.until_runs(1)
            for _ in range(10):
                loop.wake()
                await asyncio.sleep(0)
            assert service.runs == 1
            with pytest.raises(CheckFailed, match="halted"):
                await loop.check.probe()

    assert [r["log_level"] for r in logs if r["event"] == "service_halted"] == ["critical"]


async def test_readiness_asks_for_progress() -> None:
    service = Recorder()
    loop = ServiceLoop(service, idle_seconds=60, stale_seconds=40)
    with pytest.raises(CheckFailed, match="not started"):
        await loop.check.probe()

    async with Running(loop):
        await service.until_runs(1)
        await asyncio.sleep(0)
        assert await loop.check.probe() is None
        loop._progress_at -= 41
        with pytest.raises(CheckFailed, match="no progress for 41 s"):
            await loop.check.probe()


async def test_a_stop_that_fails_is_logged_and_ends_the_loop_all_the_same() -> None:
    class BadEnd(Recorder):
        async def stop(self) -> None:
            raise OSError("cannot")

    service = BadEnd()
    with capture_logs() as logs:
        async with Running(ServiceLoop(service)):
            await service.until_runs(1)

    assert [r["event"] for r in logs][-1] == "service_stop_failed"


async def test_what_runs_count_is_counted() -> None:
    service = Recorder("counting")

    async def twice() -> Counts:
        return Counts(offered=2, repeated=1, more=service.runs < 2)

    service.step = twice
    async with Running(ServiceLoop(service, idle_seconds=60)):
        await service.until_runs(2)

    assert _metric("magictoolbox_service_counts_total", service="counting", what="offered") == 4
    assert _metric("magictoolbox_service_runs_total", service="counting", outcome="worked") == 2


def test_counts_read_like_a_mapping() -> None:
    counts = Counts(published=3, skipped=0)

    assert dict(counts) == {"published": 3, "skipped": 0}
    assert not counts.is_idle
    assert Counts(published=0).is_idle
    assert Counts().is_idle


@given(st.integers(1, 10_000))
def test_pauses_grow_to_a_limit_and_are_never_nothing(failures: int) -> None:
    pause = pause_seconds(failures)

    assert PAUSE_SECONDS_FIRST / 2 <= pause <= PAUSE_SECONDS_MAX
    if failures > 10:
        assert pause >= PAUSE_SECONDS_MAX / 2


def _metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0
