"""The clock and schedules whose job cannot be made, over a log in memory."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from events.contracts import schedule as facts
from events.contracts.job import JobSubmitted
from events.contracts.tool import tool_id
from events.domain.schedule import Plan, Schedule, Template
from events.domain.tool import Offer, Tool
from events.store.codec import Codec
from events.store.memory import MemoryLog
from events.store.repository import Repository
from events.store.scheduled_jobs import ScheduledJobs
from events.store.sealing import Sealer
from infrastructure import metrics
from infrastructure.blobs.memory import MemoryBlobStore
from infrastructure.ids import uuid7
from infrastructure.settings import SealingSettings
from processors.changes import Timer
from processors.clock_service import ClockService
from processors.settings import ClockSettings
from processors.work_memory import MemorySweeps, MemoryWork
from tests.fixtures.events import NOON, origin
from tests.fixtures.work import ManualClock, OneLead

SEALING = SealingSettings(sealing_key="only-for-tests-0123456789abcdef0123")  # type: ignore[arg-type]
OFFER = Offer("1", "", ["*/*"], [], 0, 1, {}, 4, 60.0)
MINUTE = 60.0


class Scene:
    """One schedule of every ten minutes, and a clock that keeps looking at it."""

    def __init__(self) -> None:
        self.clock, self.work = ManualClock(), MemoryWork()
        self.log = MemoryLog(self.clock)
        self.repository = Repository(self.log, self.log)
        self.sealer = Sealer(SEALING)
        self.service = ClockService(
            OneLead(),
            MemorySweeps(self.work, self.clock),
            self.repository,
            MemoryBlobStore(clock=self.clock),
            ClockSettings(),
            schedules=ScheduledJobs(self.repository, self.log, self.sealer),
            clock=self.clock,
        )

    async def schedule(self) -> Schedule:
        schedule_id = uuid7()
        seal, key = self.sealer.new_key(schedule_id, "acme", "user:1")
        template = Template("no-op", seal.seal("options", "{}"))
        name = seal.seal("schedule name", "often")
        made = Schedule.create(schedule_id, name, Plan("*/10 * * * *"), template, origin())
        await self.repository.save(made, keys=[key])
        self.work.timers[Timer.SCHEDULE, schedule_id] = NOON
        return made

    async def offer(self, *, available: bool) -> None:
        """What the newest worker says of the tool."""
        offer = OFFER if available else replace(OFFER, available=False, unavailable_reason="gone")
        at = origin(tenant="platform")
        tool = Tool.introduce("no-op", at)
        if await self.log.read_stream(tool_id("no-op")):
            tool = await self.repository.load(Tool, tool_id("no-op"))
        tool.offer(offer, at)
        await self.repository.save(tool)

    async def look_for(self, seconds: float) -> list[Any]:
        """Look all the time for so long; returns what became of the schedule and its jobs."""
        before = len(await self.log.read_after(0))
        for _ in range(int(seconds)):
            self.clock.move(1.0)
            await self.service.run_once()
        told = [Codec().decode_row(row).fact for row in await self.log.read_after(before)]
        return [fact for fact in told if isinstance(fact, JobSubmitted | facts.ScheduleSkipped)]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    await made.service.stop()


def refused() -> float:
    return metrics.CLOCK_FACTS.labels("schedule_refused")._value.get()


async def test_a_time_whose_tool_is_unknown_gets_one_fact_and_one_warning(scene: Scene) -> None:
    schedule = await scene.schedule()
    before = refused()

    with capture_logs() as logs:
        told = await scene.look_for(15 * MINUTE)

    (skipped,) = told
    assert (skipped.reason, skipped.passed_over) == ("TOOL_NOT_FOUND", 1)
    assert skipped.tick == (NOON + timedelta(minutes=10)).isoformat()
    assert skipped.next_at == (NOON + timedelta(minutes=20)).isoformat()
    (warning,) = [line for line in logs if line["log_level"] == "warning"]
    assert warning["event"] == "schedule_refused"
    assert warning["schedule_id"] == str(schedule.id)
    assert (warning["tenant"], warning["tool_id"]) == ("acme", "no-op")
    assert warning["reason"] == "TOOL_NOT_FOUND"
    assert refused() == before + 1


async def test_a_schedule_whose_tool_cannot_run_fires_again_when_it_can(scene: Scene) -> None:
    schedule = await scene.schedule()
    await scene.offer(available=False)

    while_away = await scene.look_for(25 * MINUTE)
    await scene.offer(available=True)
    after = await scene.look_for(10 * MINUTE)

    assert [fact.reason for fact in while_away] == ["TOOL_UNAVAILABLE"] * 2
    (submitted,) = after
    assert isinstance(submitted, JobSubmitted)
    assert submitted.schedule == str(schedule.id)
    assert submitted.tick == (NOON + timedelta(minutes=30)).isoformat()


async def test_what_a_clock_missed_while_the_tool_is_away_is_one_fact(scene: Scene) -> None:
    await scene.schedule()
    scene.clock.move(300 * MINUTE)

    (skipped,) = await scene.look_for(5.0)

    assert skipped.passed_over == 30
