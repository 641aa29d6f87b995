"""Batches of events, applied to real tables."""

import random
from collections.abc import Sequence

from events.contracts.envelope import RecordedRow
from tests.factories.histories import Histories
from tests.integration.projectors.stage import Stage


def split(rows: Sequence[RecordedRow], seed: int, largest: int) -> list[Sequence[RecordedRow]]:
    """The rows in batches of random sizes."""
    chance = random.Random(seed)
    batches, start = [], 0
    while start < len(rows):
        size = chance.randint(1, largest)
        batches.append(rows[start : start + size])
        start += size
    return batches


async def test_any_split_into_batches_makes_the_rows_that_one_batch_makes(stage: Stage) -> None:
    await stage.append(Histories(1).log(jobs=60))
    rows = await stage.log.read_after(0)
    await stage.project([rows])
    expected = await stage.contents()

    for seed, largest in ((1, 1), (2, 7), (3, 50)):
        await stage.execute(
            "UPDATE read_models.checkpoints SET position = 0",
            *(f"TRUNCATE read_models.{name}_1" for name in expected),
        )
        await stage.project(split(rows, seed, largest))

        assert await stage.contents() == expected
    assert all(expected.values())


async def test_a_rebuild_makes_the_rows_that_batches_made(stage: Stage) -> None:
    await stage.append(Histories(2).log(jobs=200))
    await stage.project(split(await stage.log.read_after(0), 1, 100))
    live = await stage.contents()

    report = await stage.rebuild().run()

    assert report.is_switched
    assert set(report.differences.values()) == {0}
    assert await stage.contents() == live
