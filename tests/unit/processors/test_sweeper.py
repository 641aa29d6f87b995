"""The sweeper over a log and blobs in memory: what nobody needs goes, what may be needed stays."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.contracts.upload import UploadExpired
from events.contracts.values import JobStatus
from events.domain.job import Job
from events.store.append import LogUnavailable
from events.store.codec import Codec
from events.store.memory import MemoryLog
from events.store.repository import Repository
from infrastructure.blobs.base import BlobKey, blob_id_of
from infrastructure.blobs.memory import MemoryBlobStore
from processors.settings import SweeperSettings
from processors.sweeper import inspection as inspecting
from processors.sweeper.by_hand import sweep
from processors.sweeper.inspection import Inspection
from processors.sweeper.memory import MemoryReferences
from processors.sweeper.references import FOLDED, TOPICS, ReferenceChanges, blob_ids_in
from processors.sweeper.service import CONFIRM_SECONDS, SweeperService
from tests.factories.blob_lives import BlobLives
from tests.factories.histories import Histories, recorded
from tests.fixtures.events import origin, submitted_job
from tests.fixtures.work import ManualClock, OneLead
from tests.golden import corpus

GRACE = 3_600.0
PASS = 600.0


class Scene:
    """A platform in memory, whose log began before its first blob."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = MemoryLog(self.clock)
        self.blobs = MemoryBlobStore(clock=self.clock)
        self.repository = Repository(self.log, self.log)
        self.lives = BlobLives(self.repository, self.blobs)
        self.lead = OneLead()
        self.references = MemoryReferences(self.log)
        self.boot()

    def boot(self) -> None:
        """A sweeper that knows nothing of what went before."""
        settings = SweeperSettings(
            _env_file=None, blob_grace_seconds=GRACE, blob_sweep_seconds=PASS
        )
        self.inspection = Inspection(self.references, self.blobs, GRACE, self.clock)
        self.sweeper = SweeperService(self.lead, self.inspection, settings, clock=self.clock)

    async def age(self) -> None:
        """Let the blobs grow older than the grace."""
        self.clock.move(GRACE + 1)

    async def confirm(self) -> None:
        """Run once to suspect, and once to delete."""
        await self.sweeper.run_once()
        self.clock.move(CONFIRM_SECONDS)
        await self.sweeper.run_once()

    async def is_there(self, key: str) -> bool:
        return BlobKey(key) in await self.lives.there()


@pytest.fixture
async def scene() -> Scene:
    made = Scene()
    await made.repository.save(submitted_job())
    return made


async def test_what_nobody_needs_goes_and_what_may_be_needed_stays(scene: Scene) -> None:
    lives = scene.lives
    await lives.fill()
    await scene.age()

    await scene.confirm()

    there = await lives.there()
    assert {kind for kind, key in lives.needed.items() if key not in there} == set()
    assert {kind for kind, key in lives.left.items() if key in there} == set()
    assert there == set(lives.needed.values())


async def test_what_is_young_stays(scene: Scene) -> None:
    file = await scene.lives.file()
    scene.clock.move(GRACE)

    await scene.confirm()
    assert await scene.is_there(file.blob_key)

    scene.clock.move(PASS)
    await scene.confirm()
    assert not await scene.is_there(file.blob_key)


async def test_nothing_goes_before_it_was_confirmed(scene: Scene) -> None:
    file = await scene.lives.file()
    await scene.age()

    await scene.sweeper.run_once()
    scene.clock.move(CONFIRM_SECONDS - 1)
    await scene.sweeper.run_once()
    assert await scene.is_there(file.blob_key)

    scene.clock.move(1)
    await scene.sweeper.run_once()
    assert not await scene.is_there(file.blob_key)


async def test_a_fact_that_comes_between_two_looks_saves_a_blob(scene: Scene) -> None:
    late, left = await scene.lives.job(), await scene.lives.file()
    await scene.age()

    await scene.sweeper.run_once()
    await scene.repository.save(late)
    scene.clock.move(CONFIRM_SECONDS)
    await scene.sweeper.run_once()

    assert await scene.is_there(late.inputs[0].blob_key)
    assert not await scene.is_there(left.blob_key)


@pytest.mark.parametrize("what", ["the lead", "the log", "the process"])
async def test_suspicions_are_lost_with(what: str, scene: Scene) -> None:
    file = await scene.lives.file()
    await scene.age()
    await scene.sweeper.run_once()

    if what == "the lead":
        scene.lead.held = False
        await scene.sweeper.run_once()
        scene.lead.held = True
    elif what == "the log":
        scene.references.catch_up = _fails(scene.references.catch_up)  # type: ignore[method-assign]
        scene.clock.move(CONFIRM_SECONDS)
        with pytest.raises(LogUnavailable):
            await scene.sweeper.run_once()
    else:
        scene.boot()
    scene.clock.move(max(CONFIRM_SECONDS, PASS))
    await scene.sweeper.run_once()

    assert await scene.is_there(file.blob_key)
    await scene.confirm()
    assert not await scene.is_there(file.blob_key)


def _fails(catch_up: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
    """A log that is away for one call."""
    calls = iter([True])

    async def call() -> bool:
        if next(calls, False):
            raise LogUnavailable("away")
        return await catch_up()

    return call


async def test_who_does_not_lead_touches_nothing(scene: Scene) -> None:
    file = await scene.lives.file()
    scene.lead.held = False
    await scene.age()

    await scene.confirm()

    assert await scene.is_there(file.blob_key)
    assert scene.lead.asked == 2


async def test_between_two_passes_nobody_is_asked(scene: Scene) -> None:
    await scene.sweeper.run_once()
    asked = scene.lead.asked

    for _ in range(100):
        scene.clock.move(PASS / 101)
        assert (await scene.sweeper.run_once()).is_idle

    assert scene.lead.asked == asked == 1


async def test_a_pass_goes_on_where_it_stopped_also_after_a_restart(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspecting, "SLICE_BLOBS_MAX", 3)
    for _ in range(8):
        await scene.lives.file()
    await scene.age()

    looked_at = [(await scene.sweeper.run_once())["looked_at"]]
    scene.boot()
    looked_at += [(await scene.sweeper.run_once())["looked_at"] for _ in range(2)]

    assert looked_at == [3, 3, 2]


async def test_blobs_that_are_older_than_the_log_belong_to_another() -> None:
    scene = Scene()
    foreign = await scene.lives.file()
    await scene.age()
    await scene.confirm()
    assert await scene.is_there(foreign.blob_key)

    await scene.repository.save(submitted_job())
    own = await scene.lives.file()
    await scene.age()
    await scene.confirm()

    assert await scene.is_there(foreign.blob_key)
    assert not await scene.is_there(own.blob_key)


async def test_crashed_writers_parts_go_too(scene: Scene) -> None:
    await scene.blobs.write(BlobKey("acme/01a20766-3488-7559-a501-93ab8b57f533"))
    await scene.age()

    await scene.sweeper.run_once()

    assert await scene.blobs.discard_unfinished(scene.clock.now()) == 0


async def test_a_job_that_is_tried_again_finds_its_files(scene: Scene) -> None:
    job = await scene.lives.job()
    job.cancel(origin())
    await scene.repository.save(job)
    await scene.age()
    await scene.confirm()

    await scene.repository.change(Job, job.id, lambda job: job.reopen(origin()))
    scene.clock.move(PASS)
    await scene.confirm()

    assert await scene.is_there(job.inputs[0].blob_key)


async def test_by_hand_it_is_told_or_done_at_once(scene: Scene) -> None:
    await scene.lives.fill()
    before = await scene.lives.there()
    await scene.age()
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    told = await sweep(scene.inspection, dry_run=True, wait=wait)
    assert (await scene.lives.there(), waits) == (before, [])
    assert (told.blobs, told.bytes, told.deleted) == (len(before), 5 * len(before), 0)

    done = await sweep(scene.inspection, dry_run=False, wait=wait)
    assert waits == [CONFIRM_SECONDS]
    assert done.deleted == done.unreferenced == told.unreferenced >= len(scene.lives.left)
    assert done.deleted_bytes == told.unreferenced_bytes == 5 * done.deleted
    assert len(await scene.lives.there()) == len(before) - done.deleted


def test_every_fact_that_names_blobs_is_folded() -> None:
    codec = Codec()
    naming = [p for p in Path(corpus.FOLDER).glob("*/*.json") if '"blob_key":' in p.read_text()]
    assert len(naming) > 5
    for path in naming:
        topic = path.stem.partition("+")[0]
        assert topic in TOPICS, f"{path.name} names blobs that the sweeper would delete"
        state = path.with_suffix(".bin").read_bytes()
        fact = codec.decode(topic, state, corpus.AGGREGATE, corpus.VERSION)
        if isinstance(fact, UploadExpired):
            continue
        changes = ReferenceChanges()
        changes.fold(recorded([fact])[0], fact)
        named = {blob_id for _, _, blob_id in changes.pairs()}
        assert named == set(blob_ids_in(json.loads(state))), path.name


@given(st.integers(0, 10**9), st.integers(1, 60))
def test_the_fold_agrees_with_the_jobs_at_every_moment(seed: int, stretch: int) -> None:
    rows = Histories(seed).log(jobs=6)
    codec, jobs = Codec(), dict[object, Job]()
    named: dict[object, set[object]] = {}
    for first in range(0, len(rows), stretch):
        changes = ReferenceChanges()
        for row in rows[first : first + stretch]:
            fact = codec.decode_row(row).fact
            if type(fact) in FOLDED:
                changes.fold(row, fact)
            if row.topic.startswith("magictoolbox.job."):
                jobs[row.originator_id] = fact.mutate(jobs.get(row.originator_id))  # type: ignore
        for holding in changes.let_go:
            named.pop(holding, None)
        for holding, ids in changes.named.items():
            named.setdefault(holding, set()).update(ids)
        of_jobs = {b for (subject, _), ids in named.items() if subject in jobs for b in ids}
        assert of_jobs == {b for job in jobs.values() for b in _needs(job)}


def _needs(job: Job) -> set[object]:
    """What a job needs, by what it is and not by how it came to it."""
    if job.status is not JobStatus.SUCCEEDED:
        return {blob_id_of(BlobKey(file.blob_key)) for file in job.inputs}
    kept = [] if job.result_expired else job.outputs
    return {blob_id_of(BlobKey(file.blob_key)) for file in kept}
