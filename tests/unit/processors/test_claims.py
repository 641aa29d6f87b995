"""What a worker does with an offer."""

from dataclasses import dataclass, field

import pytest
from eventsourcing.persistence import StoredEvent

from events.contracts.values import JobStatus
from events.domain.job import Job
from events.store.append import Append
from events.store.memory import MemoryLog
from events.store.repository import LogUnavailable, OutcomeUnknown, Repository
from infrastructure.clock import SystemClock
from infrastructure.ids import uuid7
from processors.claims import ALONE_SECONDS, ELSEWHERE_TRIES_MAX, Claims, ToolMissing
from processors.reports import Reports
from processors.sandbox.inline import InlineRunner
from processors.slots import Place, Slots
from processors.tools.no_op import NoOp
from tests.factories.tools import registry
from tests.fixtures.events import origin, submitted_job
from tests.fixtures.work import ManualClock


@dataclass
class Delivered:
    """An offer as it came in, and how it was answered."""

    body: bytes
    times: int = 1
    answers: list[str] = field(default_factory=list)

    async def ack(self) -> None:
        self.answers.append("ack")

    async def return_(self, delay_seconds: float = 0.0) -> None:
        self.answers.append("later" if delay_seconds else "back")


class Log(MemoryLog):
    """A log that is away when told so."""

    error: Exception | None = None
    is_away = False

    async def append(self, append: Append) -> list[int]:
        if self.error is not None:
            raise self.error
        return await super().append(append)

    async def read_streams(self, ids: object) -> object:  # type: ignore[override]
        if self.is_away:
            raise OSError("away")
        return await super().read_streams(ids)  # type: ignore[arg-type]


class Scene:
    def __init__(self) -> None:
        self.log = Log()
        self.repository = Repository(self.log, self.log)
        self.clock = ManualClock()
        self.slots = Slots(sandboxed_max=1, inline_max=8)
        self.tools = registry()
        self.sandbox = InlineRunner(self.tools)
        self.inline = InlineRunner(self.tools)
        self.claims = Claims(
            self.repository,
            self.tools,
            Reports(self.repository, self.log, "w1", SystemClock()),
            self.slots,
            self.sandbox,
            self.inline,
            self.clock,
        )

    async def job(self, tool: str = "no-op", version: str | None = None) -> Job:
        has = NoOp.version if tool == NoOp.name else "1"
        job = submitted_job(tool=tool, tool_version=version or has)
        await self.repository.save(job)
        return job

    async def claim(self, delivered: Delivered) -> object:
        self.slots.arrive()
        return await self.claims.claim(delivered)  # type: ignore[arg-type]

    async def status(self, job: Job) -> JobStatus:
        return (await self.repository.load(Job, job.id)).status


@pytest.fixture
def scene() -> Scene:
    return Scene()


def offer_of(job: Job, times: int = 1) -> Delivered:
    return Delivered(f"{job.id}/1".encode(), times)


def is_free(scene: Scene) -> bool:
    return scene.slots.busy == 0 and scene.slots._undecided == 0


async def test_a_queued_job_is_claimed_and_the_offer_dealt_with(scene: Scene) -> None:
    job = await scene.job()
    delivered = offer_of(job)

    claim = await scene.claim(delivered)

    assert claim.place is Place.INLINE  # type: ignore[attr-defined]
    assert claim.runner is scene.inline  # type: ignore[attr-defined]
    assert await scene.status(job) is JobStatus.RUNNING
    assert delivered.answers == ["ack"]


async def test_a_tool_that_is_not_trusted_gets_a_sandbox(scene: Scene) -> None:
    claim = await scene.claim(offer_of(await scene.job("sleeper")))

    assert claim.place is Place.SANDBOX  # type: ignore[attr-defined]
    assert claim.runner is scene.sandbox  # type: ignore[attr-defined]


async def test_without_a_free_sandbox_the_offer_goes_back_at_once(scene: Scene) -> None:
    await scene.claim(offer_of(await scene.job("sleeper")))
    job = await scene.job("sleeper")
    delivered = offer_of(job)

    assert await scene.claim(delivered) is None

    assert delivered.answers == ["back"]
    assert await scene.status(job) is JobStatus.QUEUED


@pytest.mark.parametrize("body", [b"", b"nonsense", b"\xff\x00"])
async def test_what_is_no_offer_is_cleared_away(scene: Scene, body: bytes) -> None:
    delivered = Delivered(body)

    assert await scene.claim(delivered) is None

    assert delivered.answers == ["ack"]
    assert is_free(scene)


async def test_an_offer_of_an_unknown_job_is_cleared_away(scene: Scene) -> None:
    delivered = Delivered(f"{uuid7()}/1".encode())

    assert await scene.claim(delivered) is None

    assert delivered.answers == ["ack"]


async def test_an_offer_of_a_job_that_runs_already_is_cleared_away(scene: Scene) -> None:
    job = await scene.job()
    await scene.claim(offer_of(job))
    delivered = offer_of(job)

    assert await scene.claim(delivered) is None

    assert delivered.answers == ["ack"]


async def test_while_the_log_is_away_an_offer_comes_again_later(scene: Scene) -> None:
    delivered = offer_of(await scene.job())
    scene.log.is_away = True

    assert await scene.claim(delivered) is None

    assert delivered.answers == ["later"]
    assert is_free(scene)


@pytest.mark.parametrize("error", [LogUnavailable(), OutcomeUnknown()])
async def test_a_claim_that_was_not_made_comes_again_later(scene: Scene, error: Exception) -> None:
    delivered = offer_of(await scene.job())
    scene.log.error = error

    assert await scene.claim(delivered) is None

    assert delivered.answers == ["later"]
    assert is_free(scene)


async def test_a_job_that_newer_software_wrote_to_is_left_to_newer_workers(scene: Scene) -> None:
    job = await scene.job()
    unknown = StoredEvent(job.id, 2, "magictoolbox.job.invented_later", b"{}")
    await scene.log.append(Append("acme", [unknown]))
    delivered = offer_of(job)

    assert await scene.claim(delivered) is None

    assert delivered.answers == ["ack"]
    assert is_free(scene)


async def test_a_missing_tool_is_left_to_others_before_it_fails_here(scene: Scene) -> None:
    job = await scene.job("unheard-of")
    early = [offer_of(job, times) for times in range(1, ELSEWHERE_TRIES_MAX)]

    assert [await scene.claim(delivered) for delivered in early] == [None, None]
    claim = await scene.claim(offer_of(job, ELSEWHERE_TRIES_MAX))

    assert [delivered.answers for delivered in early] == [["later"], ["later"]]
    assert isinstance(claim.tool, ToolMissing)  # type: ignore[attr-defined]


async def test_a_job_of_another_version_is_left_to_others_before_it_runs_here(
    scene: Scene,
) -> None:
    job = await scene.job(version="0.9.0")
    early = [offer_of(job, times) for times in range(1, ELSEWHERE_TRIES_MAX)]

    assert [await scene.claim(delivered) for delivered in early] == [None, None]
    assert await scene.status(job) is JobStatus.QUEUED, "nothing was spent"
    assert is_free(scene)
    await scene.claim(offer_of(job, ELSEWHERE_TRIES_MAX))

    assert [delivered.answers for delivered in early] == [["later"], ["later"]]
    run = await scene.repository.load(Job, job.id)
    assert (run.status, run.tool_version) == (JobStatus.RUNNING, "0.9.0")
    assert run.version_run == NoOp.version


async def test_what_nobody_had_is_not_waited_for_again_for_a_while(scene: Scene) -> None:
    await scene.claim(offer_of(await scene.job(version="0.9.0"), ELSEWHERE_TRIES_MAX))

    soon = offer_of(await scene.job(version="0.9.0"))
    assert await scene.claim(soon) is not None
    other = offer_of(await scene.job(version="0.8.0"))
    assert await scene.claim(other) is None
    scene.clock.move(ALONE_SECONDS)
    later = offer_of(await scene.job(version="0.9.0"))
    assert await scene.claim(later) is None

    assert [each.answers for each in (soon, other, later)] == [["ack"], ["later"], ["later"]]


async def test_a_job_of_the_version_that_is_here_runs_at_once_and_says_nothing_of_it(
    scene: Scene,
) -> None:
    job = await scene.job()

    await scene.claim(offer_of(job))

    started = (await scene.log.read_stream(job.id))[1]
    assert b"tool_version" not in started.state, "the bytes are those of before"


async def test_a_worker_that_leaves_gives_offers_back(scene: Scene) -> None:
    job = await scene.job()
    scene.claims.is_closed = True
    delivered = offer_of(job)

    assert await scene.claim(delivered) is None

    assert delivered.answers == ["back"]
    assert await scene.status(job) is JobStatus.QUEUED


async def test_a_job_that_was_called_off_in_between_is_let_go(scene: Scene) -> None:
    job = await scene.job()
    await scene.repository.change(Job, job.id, lambda job: job.cancel(origin()))

    assert await scene.claim(offer_of(job)) is None

    assert is_free(scene)
