"""`magictoolbox doctor` tells what is well, what is not, and what would mend it."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import nats
import pytest

from deploy import migrations
from events.contracts.subjects import EVENTS_STREAM, READY_STREAM
from tests.fixtures.servers import ServerFactory

WELL = {"status": "ok", "detail": None}
SECRET = "only-for-tests-0123456789abcdef0123"
NOWHERE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "NATS_URL": "nats://127.0.0.1:1",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def doctor(folder: Path, *arguments: str, **told: str) -> subprocess.CompletedProcess[str]:
    """Ask, with settings of which each may be another one."""
    own = {"SECRET_KEY": SECRET, "SEALING_KEY": SECRET, "BLOB_URL": (folder / "blobs").as_uri()}
    return subprocess.run(
        [sys.executable, "-m", "infrastructure.cli.main", "doctor", *arguments],
        env={**os.environ, **own, **told},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
async def servers_of(
    server_factory: ServerFactory, nats_url: str, redis_url: str
) -> dict[str, str]:
    """The settings of a platform whose schema and streams are there."""
    database = server_factory.postgres()
    database.start()
    await asyncio.to_thread(migrations.upgrade, database.url)
    connection = await nats.connect(nats_url)
    for stream in (EVENTS_STREAM, READY_STREAM):
        await connection.jetstream().add_stream(name=stream, subjects=[f"doctor.{stream}"])
    await connection.close()
    return {"DATABASE_URL": database.url, "NATS_URL": nats_url, "REDIS_URL": redis_url}


def test_where_all_is_well_every_line_says_so(tmp_path: Path, servers_of: dict[str, str]) -> None:
    told = doctor(tmp_path, "--json", **servers_of)

    assert told.returncode == 0, told.stdout + told.stderr
    answers = json.loads(told.stdout)
    assert {name: answer["status"] for name, answer in answers.items()} == dict.fromkeys(
        (
            *("settings", "libmagic", "postgresql", "schema", "nats", "redis", "blobs"),
            *("scanner", "sandbox", "tools"),
        ),
        "ok",
    )
    assert answers["postgresql"]["detail"].startswith("18")
    assert answers["schema"] == WELL


def test_servers_that_are_away_are_named_and_fail(tmp_path: Path) -> None:
    told = doctor(tmp_path, **NOWHERE)

    assert told.returncode == 1
    failed = [line.split()[1] for line in told.stdout.splitlines() if line.startswith("failed")]
    assert failed == ["postgresql", "schema", "nats", "redis"]


def test_a_schema_that_is_missing_names_the_command_that_makes_it(
    tmp_path: Path, empty_database_url: str
) -> None:
    told = doctor(tmp_path, **{**NOWHERE, "DATABASE_URL": empty_database_url})

    assert "log is at None" in told.stdout
    assert "magictoolbox db migrate" in told.stdout


def test_a_server_that_may_lose_a_commit_is_refused(tmp_path: Path, database_url: str) -> None:
    told = doctor(tmp_path, **{**NOWHERE, "DATABASE_URL": database_url})

    assert told.returncode == 1
    assert "fsync is off" in told.stdout


def test_bad_settings_are_named_without_their_values(tmp_path: Path) -> None:
    told = doctor(tmp_path, **NOWHERE, SECRET_KEY="canary", BLOB_URL="ftp://canary/x")

    assert told.returncode == 1
    lines = dict(line.split(maxsplit=2)[1:] for line in told.stdout.splitlines() if "_" in line)
    assert "SECRET_KEY" in lines["settings"]
    assert "BLOB_URL" in lines["blobs"]
    assert "canary" not in told.stdout + told.stderr
