"""`magictoolbox projections` shows where the read models stand, and builds them anew."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from projectors.read_models import live
from tests.factories.histories import Histories
from tests.integration.projectors.stage import Stage, staged

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    """Read models that are complete, on a log of a few jobs."""
    async with staged(database_url) as made:
        await made.append(Histories(60).log(jobs=10))
        await made.project([await made.log.read_after(0)])
        yield made


@pytest.fixture
def run(stage: Stage, redis_url: str) -> Run:
    """Runs the command in a process of its own."""

    def run_it(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "infrastructure.cli.main", "projections", *arguments]
        urls = {"DATABASE_URL": stage.url, "REDIS_URL": redis_url}
        return subprocess.run(
            command, env={**os.environ, **urls}, capture_output=True, text=True, timeout=120
        )

    return run_it


async def test_status_tells_position_head_lag_and_generation(
    stage: Stage, run: Run, redis_url: str
) -> None:
    head = await stage.log.head()
    await stage.append(Histories(61).log(jobs=1)[:6])
    async with Redis.from_url(redis_url) as redis:
        await redis.set(live.CHECKPOINT, 3)

    found = json.loads(run("status", "--json").stdout)

    standing = {one["name"]: (one["position"], one["lag"]) for one in found["projections"]}
    assert found["head"] == head + 6
    assert standing["job_summary"] == (head, 6)
    assert standing["live"] == (3, head + 3)
    assert [(one["generation"], one["state"]) for one in found["generations"]] == [(1, "live")]


async def test_status_is_shown_without_redis(stage: Stage, run: Run) -> None:
    shown = run("status")

    assert shown.returncode == 0, shown.stderr
    assert "job_timeline" in shown.stdout
    assert "absent" in shown.stdout


async def test_a_rebuild_can_be_checked_done_and_taken_back(stage: Stage, run: Run) -> None:
    before = await stage.contents()

    outcomes = [run("rebuild", *options) for options in (["--check"], [], ["--switch-back"])]

    assert [outcome.returncode for outcome in outcomes] == [0, 0, 0], outcomes
    told = [outcome.stdout.split(",")[0] for outcome in outcomes]
    assert told == [
        "generation 2 was compared and dropped",
        "generation 2 is live",
        "generation 1 is live",
    ]
    assert all("job_summary: equal" in outcome.stdout for outcome in outcomes)
    assert await stage.contents() == before


async def test_what_cannot_be_done_is_said(stage: Stage, run: Run) -> None:
    refused = run("rebuild", "--switch-back")

    assert refused.returncode == 1
    assert "no earlier generation" in refused.stderr


def test_checking_and_switching_back_exclude_each_other(run: Run) -> None:
    assert run("rebuild", "--switch-back", "--check").returncode == 2
