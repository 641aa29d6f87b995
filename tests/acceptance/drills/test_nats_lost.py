"""I3, I5: NATS may be killed, wiped, or lose its folder while it runs; all of it heals."""

import shutil
import signal

import pytest
import redis

from tests.acceptance.streams import delete_stream, differences, state_of
from tests.acceptance.yard import Yard, yard_of
from tests.fixtures.deadlines import wait_until
from tests.fixtures.platform import PlatformFactory

JOBS = 60
HEAL_SECONDS = 60.0

pytestmark = [pytest.mark.drill, pytest.mark.timeout(600)]


def submitted(yard: Yard, count: int = JOBS) -> list[str]:
    return [yard.submit() for _ in range(count)]


def is_whole(yard: Yard, jobs: list[str]) -> None:
    """Every job ended once, and the stream is the log again."""
    yard.wait_for_all(jobs, HEAL_SECONDS)
    head = yard.positions()[-1]
    wait_until(lambda: last(yard) == head, "the stream does not catch up", HEAL_SECONDS)
    assert differences(yard.nats_url, yard.database_url) == []
    ends = [str(row["originator_id"]) for row in yard.ends(jobs)]
    assert sorted(ends) == sorted(jobs), "a job ended twice"
    assert yard.wait_for(jobs[-1])["status"] == "succeeded"


def last(yard: Yard) -> int:
    try:
        return state_of(yard.nats_url).last
    except Exception:
        return -1


def test_nats_killed_in_the_middle_of_publishing(platform_factory: PlatformFactory) -> None:
    with yard_of(platform_factory()) as yard:
        jobs = []
        for _ in range(3):
            jobs += submitted(yard, 20)
            killed = yard.platform.kill("nats")
            jobs += submitted(yard, 20)
            yard.platform.wait_for_another("nats", killed)

        is_whole(yard, jobs)


def test_nats_killed_wiped_and_restarted(platform_factory: PlatformFactory) -> None:
    with yard_of(platform_factory()) as yard:
        jobs = submitted(yard)
        yard.wait_for_all(jobs)
        killed = yard.platform.pid("nats")
        store = yard.platform.data_dir / "nats" / "store"
        yard.platform.kill("nats", signal.SIGSTOP)
        shutil.rmtree(store)
        yard.platform.kill("nats")
        yard.platform.wait_for_another("nats", killed)

        jobs += submitted(yard)

        is_whole(yard, jobs)


def test_the_folder_removed_under_the_living_server(platform_factory: PlatformFactory) -> None:
    with yard_of(platform_factory()) as yard:
        jobs = submitted(yard)
        shutil.rmtree(yard.platform.data_dir / "nats" / "store", ignore_errors=True)
        jobs += submitted(yard)
        killed = yard.platform.kill("nats")
        yard.platform.wait_for_another("nats", killed)
        jobs += submitted(yard)

        is_whole(yard, jobs)


@pytest.mark.parametrize("stream", ["READY", "EVENTS"])
def test_a_stream_deleted_by_hand(platform_factory: PlatformFactory, stream: str) -> None:
    with yard_of(platform_factory()) as yard:
        jobs = submitted(yard)
        delete_stream(yard.nats_url, stream)
        jobs += submitted(yard)

        is_whole(yard, jobs)


def test_redis_flushed_and_killed(platform_factory: PlatformFactory) -> None:
    with yard_of(platform_factory()) as yard:
        jobs = submitted(yard, 20)
        with redis.Redis.from_url(yard.redis_url) as connection:
            connection.flushall()
        jobs += submitted(yard, 20)
        killed = yard.platform.kill("valkey")
        jobs += submitted(yard, 20)
        assert yard.wait_for(jobs[-1])["status"] == "succeeded", "reads need no Redis"
        yard.platform.wait_for_another("valkey", killed)
        jobs += submitted(yard, 20)

        is_whole(yard, jobs)
