"""The sweeper on PostgreSQL and a folder of blobs: leftovers of every kind go, and nothing else."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from infrastructure.blobs.disk import DiskBlobStore
from processors.settings import SweeperSettings
from processors.sweeper.inspection import Inspection
from processors.sweeper.postgres import PostgresReferences
from processors.sweeper.service import CONFIRM_SECONDS, SweeperService
from tests.factories.blob_lives import BlobLives
from tests.fixtures.events import Store, submitted_job
from tests.fixtures.work import OneLead

GRACE_SECONDS = 3_600.0


class LaterClock:
    """The clock of the machine, some hours on: what was written a moment ago is old."""

    def __init__(self) -> None:
        self.on = timedelta(hours=2)

    def now(self) -> datetime:
        """The time of day."""
        return datetime.now(UTC) + self.on

    def monotonic(self) -> float:
        """The time on the other scale."""
        return time.monotonic() + self.on.total_seconds()


@pytest.fixture
async def lives(postgres_store: Store, tmp_path: Path) -> AsyncIterator[BlobLives]:
    """A log that began before the first blob."""
    await postgres_store.repository.save(submitted_job())
    blobs = DiskBlobStore(tmp_path / "blobs")
    made = BlobLives(postgres_store.repository, blobs)
    await made.fill()
    yield made
    await blobs.close()


async def test_leftovers_of_every_kind_go_and_nothing_else(
    lives: BlobLives, database_url: str
) -> None:
    clock, lead = LaterClock(), OneLead()
    references = PostgresReferences(database_url)
    inspection = Inspection(references, lives.blobs, GRACE_SECONDS, clock)
    settings = SweeperSettings(_env_file=None, blob_grace_seconds=GRACE_SECONDS)
    sweeper = SweeperService(lead, inspection, settings, clock=clock)
    before = await lives.there()

    await sweeper.run_once()
    assert await lives.there() == before
    clock.on += timedelta(seconds=CONFIRM_SECONDS)
    counts = await sweeper.run_once()
    await sweeper.stop()

    assert await lives.there() == set(lives.needed.values())
    assert counts["deleted"] == len(before) - len(lives.needed)
    assert lead.is_released


async def test_an_operator_is_told_what_would_go(
    lives: BlobLives, database_url: str, tmp_path: Path
) -> None:
    there = await lives.there()
    await _make_older(database_url, tmp_path / "blobs")

    told = await asyncio.to_thread(_sweep, database_url, tmp_path, "--dry-run", "--json")

    assert told["blobs"] == len(there)
    assert told["unreferenced"] == len(lives.left) == len(there) - len(lives.needed)
    assert told["unreferenced_bytes"] == 5 * len(lives.left)
    assert told["deleted"] == 0
    assert await lives.there() == there


async def _make_older(database_url: str, folder: Path) -> None:
    """Let the log have begun three hours ago, and the blobs have been written an hour later."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "ALTER TABLE event_store.stored_events DISABLE TRIGGER append_only;"
        "UPDATE event_store.stored_events SET recorded_at = recorded_at - interval '3 hours'"
    )
    await connection.close()
    await asyncio.to_thread(_touch, folder, time.time() - 2 * GRACE_SECONDS)


def _touch(folder: Path, written_at: float) -> None:
    for path in folder.glob("acme/*/*"):
        os.utime(path, (written_at, written_at))


def _sweep(database_url: str, folder: Path, *arguments: str) -> dict[str, int]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "infrastructure.cli.main", "blobs", "sweep", *arguments]
    told = {
        "DATABASE_URL": database_url,
        "BLOB_URL": (folder / "blobs").as_uri(),
        "BLOB_GRACE_SECONDS": str(GRACE_SECONDS),
    }
    done = subprocess.run(
        command, env={**os.environ, **told}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found
