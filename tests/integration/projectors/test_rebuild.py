"""Rebuilds: beside the live tables, under load, compared, switched and switched back."""

import asyncio
from dataclasses import replace
from uuid import UUID

import orjson
import pytest

from events.contracts.fact import AnyFact
from events.store.codec import Codec, CodecError, UnknownTopic
from infrastructure.leadership import Leadership
from infrastructure.postgres import Role
from projectors.group import Group
from projectors.history import History
from projectors.rebuild import NothingToSwitchTo, RebuildRunning
from tests.factories.histories import Histories
from tests.integration.projectors.running import until
from tests.integration.projectors.stage import Stage
from tests.integration.projectors.test_batches import split


class Newer(Group):
    """The group as a later version of the software has it."""

    @property
    def fingerprint(self) -> str:
        return super().fingerprint.replace("job_summary=", "job_summary=9")


@pytest.fixture
async def projected(stage: Stage) -> Stage:
    """A stage with read models that are complete."""
    await stage.append(Histories(20).log(jobs=50))
    await stage.project([await stage.log.read_after(0)])
    return stage


async def rows_that_differ(stage: Stage, one: int, other: int) -> int:
    """Rows of one generation that another lacks, and the other way round."""
    found = 0
    for table in Group().tables:
        names = f"read_models.{table.name}_{one}", f"read_models.{table.name}_{other}"
        for first, second in (names, names[::-1]):
            query = f"SELECT * FROM {first} EXCEPT ALL SELECT * FROM {second}"
            found += await stage.value(f"SELECT count(*) FROM ({query}) AS q")
    return found


async def test_a_rebuild_under_load_makes_equal_tables(stage: Stage) -> None:
    rows = Histories(21).log(jobs=500)
    written = len(rows) // 3
    await stage.append(rows[:written])
    done = asyncio.Event()

    async def write() -> None:
        for batch in split(rows[written:], 1, 40):
            await stage.append(batch)
            await asyncio.sleep(0)
        done.set()

    async def project() -> None:
        group = Group()
        while True:
            at = await stage.value("SELECT min(position) FROM read_models.checkpoints")
            page = await stage.log.read_after(at, 100)
            if page:
                await stage.project([page], group)
            elif done.is_set():
                return

    writing = asyncio.create_task(write())
    projecting = asyncio.create_task(project())
    kept = await stage.rebuild().run(switch=False)
    await asyncio.gather(writing, projecting)
    report = await stage.rebuild().run()

    assert set(kept.differences.values()) <= {0}
    assert report.position == len(rows)
    assert await rows_that_differ(stage, report.generation, 1) == 0


async def test_a_projector_that_wrote_the_old_tables_stops_at_the_switch(projected: Stage) -> None:
    before = await projected.contents()
    await projected.rebuild().run()
    connection = await projected.connect()

    tag = await connection.execute(
        "UPDATE read_models.checkpoints SET position = position + 1 WHERE generation = 1"
    )

    assert tag == "UPDATE 0"
    assert await projected.contents() == before


async def test_a_comparison_leaves_the_live_tables_alone(projected: Stage) -> None:
    report = await projected.rebuild().run(switch=False)

    assert not report.is_switched
    assert set(report.differences.values()) == {0}
    assert await projected.value("SELECT count(*) FROM read_models.generations") == 1
    left = await projected.value("SELECT to_regclass('read_models.job_summary_2')::text")
    assert left is None


async def test_a_difference_is_told(projected: Stage) -> None:
    await projected.execute("UPDATE read_models.job_summary_1 SET attempt = attempt + 7")

    report = await projected.rebuild().run()

    assert report.differences["job_summary"] == 2 * 50
    assert report.differences["job_counters"] == 0


async def test_large_tables_are_compared_by_a_sample(
    projected: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projectors.parity.ROWS_COMPARED_MAX", 10)
    monkeypatch.setattr("projectors.parity.JOBS_SAMPLED", 5)
    await projected.execute("UPDATE read_models.job_summary_1 SET attempt = attempt + 7")

    report = await projected.rebuild().run()

    assert report.differences["job_summary"] == 2 * 5


async def test_switching_back_brings_the_old_tables_up_to_date(projected: Stage) -> None:
    await projected.rebuild().run()
    rows = Histories(22).log(jobs=5)[6:]
    await projected.append(rows)
    at = await projected.value("SELECT min(position) FROM read_models.checkpoints")
    await projected.project([await projected.log.read_after(at)])
    expected = await projected.contents()

    report = await projected.rebuild().switch_back()

    assert report.generation == 1
    assert set(report.differences.values()) == {0}
    assert await projected.contents() == expected


async def test_there_is_nothing_to_switch_back_to_at_first(projected: Stage) -> None:
    with pytest.raises(NothingToSwitchTo):
        await projected.rebuild().switch_back()


async def test_a_newer_version_builds_beside_and_cannot_switch_back(projected: Stage) -> None:
    report = await projected.rebuild(Newer).run()

    assert report.is_switched
    assert report.differences == {}
    with pytest.raises(NothingToSwitchTo):
        await projected.rebuild(Newer).switch_back()


async def test_only_the_generation_before_is_kept(projected: Stage) -> None:
    for _ in range(3):
        await projected.rebuild().run()

    states = await projected.value(
        "SELECT array_agg(state || generation ORDER BY generation) FROM read_models.generations"
    )
    tables = await projected.value(
        "SELECT count(*) FROM pg_tables"
        " WHERE schemaname = 'read_models' AND tablename ~ '^job_summary_'"
    )
    assert states == ["retired3", "live4"]
    assert tables == 2


async def test_one_rebuild_at_a_time(projected: Stage) -> None:
    lead = Leadership(projected.url, Role.PROJECTORS, "rebuild:platform")
    await lead.hold()

    with pytest.raises(RebuildRunning):
        await projected.rebuild().run()

    await lead.release()


async def test_a_reader_that_holds_a_view_delays_the_switch_only(projected: Stage) -> None:
    reader = await projected.connect()
    transaction = reader.transaction()
    await transaction.start()
    await reader.fetch("SELECT * FROM read_models.job_summary LIMIT 1")

    rebuilding = asyncio.create_task(projected.rebuild().run())
    waits = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
    await until(lambda: projected.value(waits), "the switch waits for the reader")
    await transaction.rollback()
    report = await rebuilding

    assert report.is_switched


async def test_a_statement_prepared_before_the_switch_works_after_it(projected: Stage) -> None:
    connection = await projected.connect()
    prepared = await connection.prepare("SELECT count(*) FROM read_models.job_summary")
    # asyncpg leaves the implicit transaction of a bare prepare open until the first execution.
    await prepared.fetchval()
    await projected.rebuild().run()

    assert await prepared.fetchval() == 50


class Shortsighted(Codec):
    """A codec that cannot read successes: a bug that a later version mends."""

    def decode(self, topic: str, state: bytes, originator_id: UUID, version: int) -> AnyFact:
        if topic.endswith("attempt_succeeded"):
            raise CodecError(topic)
        return super().decode(topic, state, originator_id, version)


async def test_parked_aggregates_are_tried_again(stage: Stage) -> None:
    await stage.append(Histories(23).log(jobs=30))
    rows = await stage.log.read_after(0)
    await stage.project([rows], Group(codec=Shortsighted()))
    parked = await stage.value("SELECT count(*) FROM read_models.parked_events")

    report = await stage.rebuild().run()

    left = "SELECT count(*) FROM read_models.parked_events WHERE generation = $1"
    assert parked > 1
    assert await stage.value(left, report.generation) == 0
    assert report.differences["job_summary"] > 1


async def test_pages_may_end_anywhere_in_a_history(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Histories(24).log(jobs=25)
    bad = next(row for row in rows if row.topic.endswith("attempt_started"))
    fields = orjson.loads(bad.state)
    del fields["worker"]
    rows[bad.position - 1] = replace(bad, state=orjson.dumps(fields))
    await stage.append(rows)
    await stage.project(split(await stage.log.read_after(0), 5, 30))
    monkeypatch.setattr(History.__init__, "__defaults__", (3,))

    report = await stage.rebuild().run()

    assert set(report.differences.values()) == {0}


async def test_a_rebuild_of_an_empty_log_makes_empty_tables(stage: Stage) -> None:
    report = await stage.rebuild().run()

    assert report.is_switched
    assert not any((await stage.contents()).values())


async def test_a_rebuild_stops_at_an_unknown_topic_and_changes_nothing(stage: Stage) -> None:
    rows = Histories(25).log(jobs=2)
    rows[3] = replace(rows[3], topic="magictoolbox.job.teleported")
    await stage.append(rows)

    with pytest.raises(UnknownTopic):
        await stage.rebuild().run()

    live = "SELECT generation FROM read_models.generations WHERE state = 'live'"
    assert await stage.value(live) == 1
