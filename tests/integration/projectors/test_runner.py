"""The runner on a real database, given deliveries as no orderly stream would make them."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from events.contracts.envelope import RecordedRow
from infrastructure.leadership import Leadership
from infrastructure.periodic import Counts, Halt
from infrastructure.postgres import Role
from infrastructure.settings import PostgresSettings
from projectors import wiring
from projectors.announcements import Announcer
from projectors.batches import Batches
from projectors.group import Group
from projectors.intake import StreamDisagrees
from projectors.live_feed import LiveFeed
from projectors.runner import REBUILDS_IN_A_ROW_MAX, Runner
from projectors.tables import PostgresTables
from tests.factories.histories import Histories
from tests.integration.projectors.stage import Stage

RUNS_MAX = 200


class Scripted:
    """An intake that delivers what the test says; the twin of `projectors.intake.Intake`."""

    def __init__(self) -> None:
        self.batches: list[Sequence[RecordedRow] | Exception] = []
        self.settled: list[bool] = []
        self.is_open = False

    def open(self) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    def take(self) -> Any:
        return _Delivery(self.batches.pop(0), self.settled) if self.batches else None


class _Delivery:
    def __init__(self, rows: Sequence[RecordedRow] | Exception, settled: list[bool]) -> None:
        self._rows = rows
        self._settled = settled

    def rows(self, after: int) -> list[RecordedRow]:
        if isinstance(self._rows, Exception):
            raise self._rows
        return [row for row in self._rows if row.position > after]

    def settle(self, *, applied: bool) -> None:
        self._settled.append(applied)


class Running:
    """A runner, its script, and what it told others."""

    def __init__(self, stage: Stage, *, key: str = "projector", **options: Any) -> None:
        self.stage = stage
        self.rings: list[dict[str, Any]] = []
        self.rebuilt = 0
        self.intake = Scripted()
        self.feed = LiveFeed()
        group = Group(**options)
        settings = PostgresSettings(database_url=stage.url)
        self.runner = Runner(
            group,
            PostgresTables(group, Batches(group), stage.log, wiring.connect_to_write(settings)),
            stage.log,
            self.intake,
            Leadership(stage.url, Role.PROJECTORS, key),
            Announcer(group, lambda _, body: self.rings.append(orjson.loads(body)), self.feed),
            self._rebuild,
        )

    async def run(self, times: int = RUNS_MAX) -> None:
        """Run until there is nothing to do, or so many times."""
        for _ in range(times):
            counts = await self.runner.run_once()
            if counts.is_idle and not self.intake.batches:
                return

    async def _rebuild(self) -> object:
        self.rebuilt += 1
        return await self.stage.rebuild().run()


@pytest.fixture
async def start(stage: Stage) -> AsyncIterator[Callable[..., Running]]:
    """Makes runners on the stage; stops them."""
    made: list[Running] = []

    def make(**options: Any) -> Running:
        made.append(Running(stage, **options))
        return made[-1]

    yield make
    for running in made:
        await running.runner.stop()


async def expected(stage: Stage) -> dict[str, Any]:
    """What a rebuild of the same log makes, with the live tables left alone."""
    live = await stage.contents()
    report = await stage.rebuild().run()
    made = await stage.contents(report.generation)
    assert made == await stage.contents()
    await stage.rebuild().switch_back()
    assert await stage.contents() == live
    return made


async def test_shuffled_repeated_and_missing_deliveries_change_nothing(
    stage: Stage, start: Callable[..., Running]
) -> None:
    await stage.append(Histories(3).log(jobs=80))
    rows = list(await stage.log.read_after(0))
    chance = random.Random(3)
    batches: list[Sequence[RecordedRow] | Exception] = []
    for first in range(0, len(rows), 17):
        batch = rows[first : first + 17]
        kind = chance.randrange(5)
        if kind == 0:
            chance.shuffle(batch)
        elif kind == 1:
            batch += chance.sample(batch, 3)
        elif kind == 2:
            batches.append(batch)
        elif kind == 3:
            del batch[chance.randrange(len(batch))]
        batches.append(batch)
    del batches[4], batches[9]
    chance.shuffle(batches[20:30])
    running = start()
    running.intake.batches = batches

    await running.run()

    assert await stage.contents() == await expected(stage)
    assert set(running.intake.settled) == {True}


async def test_a_stream_that_is_no_copy_of_the_log_is_not_believed(
    stage: Stage, start: Callable[..., Running]
) -> None:
    await stage.append(Histories(4).log(jobs=5))
    running = start()
    running.intake.batches = [StreamDisagrees("sequence 1 is position 7")]

    await running.run()

    assert await stage.contents() == await expected(stage)


async def test_a_committed_batch_is_told_with_its_position(
    stage: Stage, start: Callable[..., Running]
) -> None:
    await stage.append(Histories(5).log(jobs=3))
    rows = list(await stage.log.read_after(0))
    running = start()
    running.intake.batches = [rows]

    await running.run()

    told = {ring["projection"]: ring["position"] for ring in running.rings}
    assert told == {name: len(rows) for name in Group().names}
    (change,) = running.feed.take_all()
    assert (change.after, change.position) == (0, len(rows))
    assert len(change.jobs) == 3


async def test_two_runners_never_apply_an_event_twice(
    stage: Stage, start: Callable[..., Running]
) -> None:
    # Different locks, as when a lead was lost without anybody noticing.
    await stage.append(Histories(6).log(jobs=100))
    rows = list(await stage.log.read_after(0))
    one, other = start(key="one"), start(key="other")
    for running in (one, other):
        running.intake.batches = [rows[n : n + 20] for n in range(0, len(rows), 20)]

    await asyncio.gather(one.run(), other.run())

    assert await stage.contents() == await expected(stage)


async def test_a_runner_that_lost_its_checkpoint_writes_nothing_and_starts_over(
    stage: Stage, start: Callable[..., Running]
) -> None:
    await stage.append(Histories(7).log(jobs=20))
    rows = list(await stage.log.read_after(0))
    running = start()
    running.intake.batches = [rows[:30]]
    await running.run(times=1)
    await stage.project([rows[30:40]])

    running.intake.batches = [rows[30:60]]
    counts = await running.runner.run_once()

    assert counts == Counts(disowned=1)
    assert running.intake.settled == [True, False]
    await running.run()
    assert await stage.contents() == await expected(stage)


async def test_only_the_leader_listens(stage: Stage, start: Callable[..., Running]) -> None:
    leader, standby = start(), start()
    await leader.run()

    await standby.run()

    assert leader.intake.is_open
    assert not standby.intake.is_open
    await leader.runner.stop()
    await standby.run()
    assert standby.intake.is_open


async def test_a_poison_event_parks_its_aggregate_and_lets_the_others_go_on(
    stage: Stage, start: Callable[..., Running]
) -> None:
    rows = Histories(8).log(jobs=40)
    bad = next(row for row in rows if row.topic.endswith("attempt_succeeded"))
    fields = orjson.loads(bad.state)
    del fields["outputs"]
    rows[bad.position - 1] = replace(bad, state=orjson.dumps(fields))
    await stage.append(rows)
    running = start()
    running.intake.batches = [list(await stage.log.read_after(0))]

    await running.run()

    parked = await stage.value(
        "SELECT array_agg(DISTINCT aggregate_id) FROM read_models.parked_events"
    )
    assert parked == [bad.originator_id]
    assert await stage.value("SELECT min(position) FROM read_models.checkpoints") == len(rows)
    version = await stage.value(
        "SELECT version FROM read_models.job_summary WHERE job_id = $1", bad.originator_id
    )
    assert version == bad.originator_version - 1
    jobs = await stage.value("SELECT count(*) FROM read_models.job_summary")
    assert jobs == 40
    assert await stage.contents() == await expected(stage)


async def test_an_event_that_the_database_refuses_is_parked_alone(
    stage: Stage, start: Callable[..., Running]
) -> None:
    rows = Histories(9).log(jobs=30)
    bad = next(row for row in rows if row.topic.endswith("attempt_succeeded"))
    fields = orjson.loads(bad.state) | {"duration_ms": 2**63}
    rows[bad.position - 1] = replace(bad, state=orjson.dumps(fields))
    await stage.append(rows)
    running = start()
    running.intake.batches = [list(await stage.log.read_after(0))]

    await running.run()

    reasons = await stage.value(
        "SELECT array_agg(reason) FROM read_models.parked_events WHERE position = $1", bad.position
    )
    assert reasons == ["write_refused"]
    assert await stage.value("SELECT min(position) FROM read_models.checkpoints") == len(rows)


async def test_an_unknown_topic_stops_the_runner_and_frees_the_lead(
    stage: Stage, start: Callable[..., Running]
) -> None:
    rows = Histories(10).log(jobs=2)
    rows[3] = replace(rows[3], topic="magictoolbox.job.teleported")
    await stage.append(rows)
    running = start()

    with pytest.raises(Halt):
        await running.run()

    assert not running.intake.is_open
    assert await stage.value("SELECT max(position) FROM read_models.checkpoints") == 0
    other = start(skip_unknown_topics=True)
    await other.run()
    assert await stage.value("SELECT min(position) FROM read_models.checkpoints") == len(rows)


@pytest.mark.parametrize(
    "damage",
    [
        ("TRUNCATE read_models.job_summary_1",),
        ("TRUNCATE read_models.tool_catalogue_1",),
        ("TRUNCATE read_models.outcome_counters_1",),
        ("DROP TABLE read_models.job_timeline_1 CASCADE",),
        ("DROP VIEW read_models.job_counters",),
        ("DELETE FROM read_models.checkpoints WHERE name = 'job_counters'",),
        ("DROP TABLE read_models.checkpoints", "DROP TABLE read_models.generations"),
        ("UPDATE read_models.checkpoints SET position = 10000000",),
        ("UPDATE read_models.generations SET fingerprint = 'job_summary=0'",),
    ],
    ids=lambda statements: statements[0][:45],
)
async def test_read_models_that_somebody_deleted_come_back(
    stage: Stage, start: Callable[..., Running], damage: tuple[str, ...]
) -> None:
    await stage.append(Histories(11).log(jobs=30))
    before = start()
    await before.run()
    contents = await stage.contents()
    await before.runner.stop()

    await stage.execute(*damage)
    running = start()
    await until_rebuilt(running)

    assert running.rebuilt == 1
    assert await stage.contents() == contents


async def test_rows_deleted_under_a_running_projector_are_noticed_when_they_change(
    stage: Stage, start: Callable[..., Running]
) -> None:
    rows = Histories(12).log(jobs=40)
    await stage.append(rows[:150])
    running = start()
    await running.run()

    await stage.execute("TRUNCATE read_models.job_summary_1")
    await stage.append(rows[150:])
    await until_rebuilt(running)

    assert running.rebuilt == 1
    assert await stage.contents() == await expected(stage)


async def test_an_idle_projector_notices_that_its_tables_were_emptied(
    stage: Stage, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projectors.runner.CHECK_SECONDS", 0.0)
    await stage.append(Histories(13).log(jobs=10))
    running = start()
    await running.run()
    contents = await stage.contents()

    await stage.execute("TRUNCATE read_models.job_counters_1")
    await until_rebuilt(running)

    assert await stage.contents() == contents


async def test_a_runner_halts_when_rebuilding_does_not_help(
    stage: Stage, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start()

    async def useless() -> None:
        running.rebuilt += 1

    monkeypatch.setattr(running.runner, "_rebuild", useless)
    await stage.execute("DROP VIEW read_models.job_counters")

    with pytest.raises(Halt, match="still damaged"):
        await run_on(running)

    assert running.rebuilt == REBUILDS_IN_A_ROW_MAX


async def test_tables_of_a_newer_version_are_left_alone(
    stage: Stage, start: Callable[..., Running]
) -> None:
    await stage.execute("UPDATE read_models.generations SET fingerprint = 'job_summary=99'")
    running = start()

    with pytest.raises(Halt, match="Newer"):
        await running.run()

    assert running.rebuilt == 0


async def run_on(running: Running) -> None:
    """Run again and again, as the loop does."""
    for _ in range(RUNS_MAX):
        await running.runner.run_once()
        await asyncio.sleep(0)


async def until_rebuilt(running: Running) -> None:
    """Run until a rebuild has begun, ended, and everything is applied."""
    async with asyncio.timeout(60):
        while not running.rebuilt:
            await running.runner.run_once()
            await asyncio.sleep(0.01)
        while running.runner._rebuilding is not None:
            await running.runner.run_once()
            await asyncio.sleep(0.01)
    await running.run()
