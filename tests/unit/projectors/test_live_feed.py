"""The feed to live status never grows without end, and progress keeps the latest only."""

from uuid import UUID

import orjson
from nats.aio.msg import Msg

from events.contracts.subjects import progress_subject
from infrastructure.ids import uuid7
from projectors.live_feed import CHANGES_WAITING_MAX, Change, LiveFeed
from projectors.progress import JOBS_WAITING_MAX, ProgressHeard


def told(job_id: UUID | str, **said: object) -> Msg:
    """A message as workers send it."""
    subject = progress_subject("acme", str(job_id))
    return Msg(_client=None, subject=subject, data=orjson.dumps(said))  # type: ignore[arg-type]


def test_a_feed_that_nobody_reads_lets_go_of_everything() -> None:
    feed = LiveFeed()

    for position in range(CHANGES_WAITING_MAX + 1):
        feed.offer(Change(position, position + 1, ()))

    assert [change.position for change in feed.take_all()] == [CHANGES_WAITING_MAX + 1]


def test_the_reader_is_woken() -> None:
    woken: list[bool] = []
    feed = LiveFeed(lambda: woken.append(True))

    feed.offer(Change(0, 1, ()))

    assert woken == [True]


async def test_only_the_latest_progress_of_a_job_waits() -> None:
    heard, job_id = ProgressHeard(), uuid7()

    for percent in (10, 60):
        await heard.hear(told(job_id, attempt=1, percent=percent, message="halfway"))

    assert heard.take() == {job_id: (1, 60.0, "halfway")}
    assert heard.take() == {}


async def test_nonsense_is_no_progress() -> None:
    heard = ProgressHeard()

    await heard.hear(told("no-id", attempt=1, percent=5, message=""))
    await heard.hear(told(uuid7(), attempt=1, percent=500, message=""))
    await heard.hear(told(uuid7(), percent=5))

    assert heard.take() == {}


async def test_progress_of_too_many_jobs_is_dropped() -> None:
    heard = ProgressHeard()

    for _ in range(JOBS_WAITING_MAX + 3):
        await heard.hear(told(uuid7(), attempt=1, percent=1.0))

    assert len(heard.take()) == JOBS_WAITING_MAX
