"""What the command API does while a server is away: nothing is accepted that is not durable."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from command_api.app import create_app
from deploy import migrations
from tests.factories.files import photo_jpeg
from tests.fixtures.command_api import (
    PASSWORD,
    CommandApi,
    becomes,
    client_of,
    command_settings,
    running_command_api,
)
from tests.fixtures.http import served
from tests.fixtures.servers import Server, ServerFactory, Servers

Headers = dict[str, str]

CONVERT = "/tools/image-converter/process"
PHOTO = {"file": ("a.jpg", photo_jpeg(64, 48))}


@pytest.fixture
def own_postgres(server_factory: ServerFactory) -> Server:
    """A migrated PostgreSQL to kill."""
    server = server_factory.postgres()
    server.start()
    return server


@pytest.fixture
def own_nats(server_factory: ServerFactory) -> Server:
    """A NATS to kill."""
    server = server_factory.nats()
    server.start()
    return server


@pytest.fixture
def own_valkey(server_factory: ServerFactory) -> Server:
    """A Valkey to kill."""
    server = server_factory.valkey()
    server.start()
    return server


@pytest.fixture
async def without_postgres(
    own_postgres: Server, servers: Servers, redis_url: str, tmp_path: Path
) -> AsyncIterator[CommandApi]:
    """A command API on a PostgreSQL of its own."""
    await asyncio.to_thread(migrations.upgrade, own_postgres.url)
    settings = command_settings(
        database_url=own_postgres.url,
        nats_url=servers.nats.url,
        redis_url=redis_url,
        blob_url=(tmp_path / "blobs").as_uri(),
    )
    async with running_command_api(settings) as api:
        yield api


@pytest.fixture
async def without_helpers(
    database_url: str, own_nats: Server, own_valkey: Server, tmp_path: Path
) -> AsyncIterator[CommandApi]:
    """A command API on a NATS and a Valkey of its own."""
    settings = command_settings(
        database_url=database_url,
        nats_url=own_nats.url,
        redis_url=own_valkey.url,
        blob_url=(tmp_path / "blobs").as_uri(),
    )
    async with running_command_api(settings) as api:
        yield api


def assert_unavailable(answer: httpx.Response) -> None:
    """A 503 that says when to come again."""
    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE"), answer.text
    assert int(answer.headers["Retry-After"]) >= 1


async def test_without_postgres_nothing_is_accepted_and_nothing_left_and_then_all_is_well(
    without_postgres: CommandApi, own_postgres: Server
) -> None:
    api, headers = without_postgres, without_postgres.headers()
    async with client_of(api) as client:
        before = await client.post("/jobs", json={"tool": "no-op"}, headers=headers)
        files, head = api.blob_files(), await api.log.head()
        await asyncio.to_thread(own_postgres.kill)

        requests: dict[str, dict[str, Any]] = {
            "/jobs": {"json": {"tool": "no-op"}},
            f"/jobs/{before.json()['job_id']}/cancel": {},
            "/uploads": {"files": PHOTO},
            CONVERT: {"files": PHOTO},
        }
        for path, request in requests.items():
            assert_unavailable(await client.post(path, headers=headers, **request))
        login = {"username": "alice", "password": PASSWORD}
        assert_unavailable(await client.post("/auth/token", data=login))
        ready = await client.get(f"{api.url}/ready")
        assert api.blob_files() == files

        await asyncio.to_thread(own_postgres.start)

        async def accepted() -> bool:
            answer = await client.post("/jobs", json={"tool": "no-op"}, headers=headers)
            return answer.status_code == 202

        await becomes(accepted)
        assert ready.status_code == 503
        assert ready.json()["checks"]["log"]["status"] == "failed"
        assert await api.log.head() > head


async def test_without_nats_and_redis_jobs_are_accepted_and_waited_for(
    without_helpers: CommandApi, own_nats: Server, own_valkey: Server
) -> None:
    api, headers = without_helpers, without_helpers.headers()
    async with client_of(api) as client:
        await asyncio.to_thread(own_nats.kill)
        await asyncio.to_thread(own_valkey.kill)

        job = await client.post("/jobs", json={"tool": "no-op"}, headers=headers)
        upload = await client.post("/uploads", files=PHOTO, headers=headers)
        login = {"username": "alice", "password": PASSWORD}
        token = await client.post("/auth/token", data=login)
        ready = await client.get(f"{api.url}/ready")

        assert (job.status_code, upload.status_code, token.status_code) == (202, 201, 200)
        checks = ready.json()["checks"]
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert (checks["nats"]["status"], checks["redis"]["status"]) == ("failed", "failed")

        start = await api.log.head()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(
                client.post(CONVERT, files=PHOTO, headers=headers | {"Prefer": "wait=30"})
            )
            await api.succeed(await api.next_job(start), {"a.webp": b"pixels"}, tell=False)
        assert (waiting.result().status_code, waiting.result().json()["status"]) == (
            200,
            "succeeded",
        )


async def test_a_command_api_starts_before_its_servers(
    own_postgres: Server, server_factory: ServerFactory, tmp_path: Path
) -> None:
    await asyncio.to_thread(migrations.upgrade, own_postgres.url)
    await asyncio.to_thread(own_postgres.stop)
    settings = command_settings(
        database_url=own_postgres.url,
        nats_url=server_factory.nats().url,
        redis_url=server_factory.valkey().url,
        blob_url=(tmp_path / "blobs").as_uri(),
    )
    async with (
        served(create_app(settings)) as url,
        httpx.AsyncClient(trust_env=False, timeout=60) as client,
    ):
        assert (await client.get(f"{url}/health")).status_code == 200
        assert (await client.get(f"{url}/ready")).status_code == 503
        await asyncio.to_thread(own_postgres.start)

        async def administrator_may_log_in() -> bool:
            login = {"username": "root", "password": PASSWORD}
            answer = await client.post(f"{url}/api/v1/auth/token", data=login)
            return answer.status_code == 200

        await becomes(administrator_may_log_in)
        assert (await client.get(f"{url}/ready")).status_code == 200
