"""`magictoolbox db migrate` makes schema and streams, once or many times."""

import os
import subprocess
import sys

import asyncpg
import nats

from infrastructure.embedded.servers import Endpoints
from tests.fixtures.servers import ServerFactory


def migrate(endpoints: Endpoints, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infrastructure.cli.main", "db", "migrate", *arguments]
    urls = {"DATABASE_URL": endpoints.database_url, "NATS_URL": endpoints.nats_url}
    return subprocess.run(
        command, env={**os.environ, **urls}, capture_output=True, text=True, timeout=120
    )


async def test_migrating_twice_makes_schema_and_streams_once(
    empty_database_url: str, server_factory: ServerFactory
) -> None:
    server = server_factory.nats()
    server.start()
    endpoints = Endpoints(empty_database_url, server.url, "")

    first, second = migrate(endpoints), migrate(endpoints)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    session = await asyncpg.connect(empty_database_url)
    schemas = await session.fetch("SELECT nspname FROM pg_namespace")
    await session.close()
    assert {"event_store", "work", "read_models"} <= {row["nspname"] for row in schemas}
    connection = await nats.connect(server.url)
    streams = await connection.jetstream().streams_info()
    await connection.close()
    assert {info.config.name for info in streams} == {"EVENTS", "READY"}


async def test_the_schema_alone_needs_no_nats(empty_database_url: str) -> None:
    nowhere = Endpoints(empty_database_url, "nats://127.0.0.1:1", "")

    assert migrate(nowhere, "--no-streams").returncode == 0
