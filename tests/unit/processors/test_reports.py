"""How a worker records outcomes while the log comes and goes."""

from collections.abc import Sequence

import pytest

from events.contracts.values import JobStatus, Origin
from events.domain.job import Job
from events.store.append import Answer, Append
from events.store.memory import MemoryLog
from events.store.repository import LogUnavailable, OutcomeUnknown, Repository
from infrastructure.clock import SystemClock
from processors.reports import Reports
from tests.fixtures.events import origin, submitted_job


class ShakyLog(MemoryLog):
    """A log whose next appends fail as told: before they are recorded, or after."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: list[str] = []

    async def append(self, append: Append) -> list[int]:
        how = self.fails.pop(0) if self.fails else ""
        if how == "before":
            raise LogUnavailable
        if how == "unknown, not recorded":
            raise OutcomeUnknown
        positions = await super().append(append)
        if how == "unknown, recorded":
            raise OutcomeUnknown
        return positions

    async def answer_to(self, command_id: object) -> Answer | None:
        return None


class Scene:
    def __init__(self) -> None:
        self.log = ShakyLog()
        self.repository = Repository(self.log, self.log)
        self.reports = Reports(self.repository, self.log, "w1", SystemClock())

    async def running(self) -> Job:
        job = submitted_job()
        await self.repository.save(job)
        assert await self.reports.claim(job, "L1")
        return job

    async def topics(self, job: Job) -> Sequence[str]:
        rows = await self.log.read_stream(job.id)
        return [row.topic.rpartition(".")[2] for row in rows]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def succeed(job: Job, at: Origin) -> None:
    job.succeed(1, [], 5, {}, at)


async def test_an_outcome_is_recorded_once(scene: Scene) -> None:
    job = await scene.running()

    recorded = await scene.reports.record(job, succeed)

    assert recorded is not None
    assert recorded.status is JobStatus.SUCCEEDED
    assert await scene.topics(job) == ["submitted", "attempt_started", "attempt_succeeded"]


async def test_a_claim_is_refused_to_the_second_worker(scene: Scene) -> None:
    job = submitted_job()
    await scene.repository.save(job)
    mine, theirs = [await scene.repository.load(Job, job.id) for _ in range(2)]

    assert await scene.reports.claim(mine, "L1")
    assert not await scene.reports.claim(theirs, "L1")


async def test_a_claim_whose_answer_was_lost_is_ours(scene: Scene) -> None:
    job = submitted_job()
    await scene.repository.save(job)
    scene.log.fails = ["unknown, recorded"]

    assert await scene.reports.claim(job, "L1")


async def test_a_claim_that_was_not_made_is_not_ours(scene: Scene) -> None:
    job = submitted_job()
    await scene.repository.save(job)
    scene.log.fails = ["unknown, not recorded"]

    with pytest.raises(OutcomeUnknown):
        await scene.reports.claim(job, "L1")


@pytest.mark.parametrize(
    "fails",
    [
        ["before"],
        ["before", "before", "before"],
        ["unknown, not recorded"],
        ["unknown, recorded"],
        ["before", "unknown, recorded"],
        ["unknown, not recorded", "before", "unknown, recorded"],
    ],
)
async def test_a_finished_result_outlives_an_outage(scene: Scene, fails: list[str]) -> None:
    job = await scene.running()
    scene.log.fails = fails

    recorded = await scene.reports.record(job, succeed)

    assert recorded is not None
    assert await scene.topics(job) == ["submitted", "attempt_started", "attempt_succeeded"]


async def test_an_outcome_under_a_stale_lease_is_refused(scene: Scene) -> None:
    job = await scene.running()
    await scene.repository.change(Job, job.id, lambda job: job.expire_attempt(1, origin()))

    assert await scene.reports.record(job, succeed) is None
    assert await scene.topics(job) == ["submitted", "attempt_started", "attempt_expired"]


async def test_a_lease_lost_during_an_outage_is_not_taken_for_our_success(scene: Scene) -> None:
    job = await scene.running()
    await scene.repository.change(Job, job.id, lambda job: job.cancel(origin()))
    scene.log.fails = ["unknown, not recorded"]

    assert await scene.reports.record(job, succeed) is None


async def test_a_harmless_event_in_between_does_not_refuse_an_outcome(scene: Scene) -> None:
    job = await scene.running()
    await scene.reports.refuse(job.id, 7, "failed")

    recorded = await scene.reports.record(job, succeed)

    assert recorded is not None


async def test_a_refusal_is_put_on_record(scene: Scene) -> None:
    job = await scene.running()
    scene.log.fails = ["before"]

    await scene.reports.refuse(job.id, 1, "succeeded")

    assert (await scene.topics(job))[-1] == "outcome_refused"
