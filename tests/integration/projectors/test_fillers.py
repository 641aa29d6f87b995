"""Several processes fill a generation together; what they make is what one alone makes."""

import itertools
from dataclasses import replace
from uuid import UUID

import orjson
import pytest

from events.store.codec import UnknownTopic
from infrastructure.settings import PostgresSettings
from projectors import fillers, wiring
from projectors.fillers import FillerFailed
from projectors.rebuild import Rebuild
from projectors.slices import cut
from tests.factories.histories import Histories
from tests.integration.projectors.stage import Stage


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children for a short log, which take many slices, on a machine of any size."""
    monkeypatch.setattr(fillers, "EVENTS_FILLED_ALONE_MAX", 10)
    monkeypatch.setattr(fillers, "EVENTS_PER_SLICE", 60)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})


def rebuild(stage: Stage, *, skip_unknown_topics: bool = False) -> Rebuild:
    """A rebuild as the process makes it."""
    settings = PostgresSettings(database_url=stage.url)
    return wiring.make_rebuild(settings, stage.pool, skip_unknown_topics=skip_unknown_topics)


async def test_together_they_make_the_rows_that_one_alone_makes(stage: Stage) -> None:
    rows = Histories(70).log(jobs=200)
    bad = next(row for row in rows if row.topic.endswith("attempt_started"))
    fields = orjson.loads(bad.state)
    del fields["worker"]
    rows[bad.position - 1] = replace(bad, state=orjson.dumps(fields))
    await stage.append(rows)
    await stage.project([await stage.log.read_after(0)])

    report = await rebuild(stage).run()

    assert set(report.differences.values()) == {0}
    parked = "SELECT count(*) FROM read_models.parked_events WHERE generation = $1"
    assert await stage.value(parked, report.generation) == await stage.value(parked, 1) > 0


async def test_a_child_that_meets_an_unknown_topic_says_so(stage: Stage) -> None:
    rows = [
        replace(row, topic=f"{row.topic}_in_future") if row.topic.endswith(".due") else row
        for row in Histories(71).log(jobs=150)
    ]
    await stage.append(rows)

    with pytest.raises(UnknownTopic):
        await rebuild(stage).run()

    report = await rebuild(stage, skip_unknown_topics=True).run()
    assert report.is_switched


async def test_a_child_that_dies_fails_the_rebuild(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fillers, "MODULE", "projectors.no_such_module")
    await stage.append(Histories(72).log(jobs=150))

    with pytest.raises(FillerFailed):
        await rebuild(stage).run()

    live = "SELECT generation FROM read_models.generations WHERE state = 'live'"
    assert await stage.value(live) == 1


async def test_slices_cover_every_id_once(stage: Stage) -> None:
    await stage.append(Histories(73).log(jobs=100))
    connection = await stage.connect()

    slices = await cut(connection, await stage.log.head(), 8)

    assert len(slices) == 8
    assert slices[0].after == UUID(int=0)
    assert slices[-1].up_to == UUID(int=2**128 - 1)
    assert all(one.up_to == next_.after for one, next_ in itertools.pairwise(slices))


async def test_a_short_log_is_one_slice(stage: Stage) -> None:
    connection = await stage.connect()

    assert len(await cut(connection, 0, 5)) == 1
