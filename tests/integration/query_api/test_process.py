"""The process: it serves, says on a taken port why it cannot, and ends without keeping anyone."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import pytest

from query_api.settings import QueryApiSettings
from tests.fixtures.query_api import AuthHeaders, World
from tests.fixtures.waiting import eventually

START_SECONDS = 60.0
STOP_SECONDS = 60.0
COMMAND = [sys.executable, "-m", "infrastructure.cli.services", "query-api"]


@pytest.fixture
def environment(query_settings: QueryApiSettings) -> Mapping[str, str]:
    """What the process finds in its environment, with a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {
        **os.environ,
        "DATABASE_URL": str(query_settings.database_url),
        "NATS_URL": query_settings.nats_url,
        "REDIS_URL": query_settings.redis_url,
        "BLOB_URL": query_settings.blob_url,
        "SECRET_KEY": query_settings.secret_key.get_secret_value(),
        "SEALING_KEY": query_settings.sealing_key.get_secret_value(),
        "PORT": str(port),
    }


@contextmanager
def running(environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_a_long_poll_is_answered_before_the_process_ends(
    environment: Mapping[str, str], world: World, query_auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()
    headers = await query_auth_headers()
    url = f"http://127.0.0.1:{environment['PORT']}"
    with running(environment) as process:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
            await eventually(lambda: is_listening(int(environment["PORT"])), START_SECONDS)
            known = await client.get(f"/api/v1/jobs/{job_id}", headers=headers)
            headers["If-None-Match"] = known.headers["ETag"]
            polling = asyncio.create_task(
                client.get(f"/api/v1/jobs/{job_id}?wait=30", headers=headers)
            )
            await in_progress(client, 2)
            process.send_signal(signal.SIGTERM)
            answer = await polling

        assert (known.status_code, answer.status_code) == (200, 304)
        assert await asyncio.to_thread(process.wait, STOP_SECONDS) == 0


async def test_a_taken_port_is_told(environment: Mapping[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(environment["PORT"]))), running(environment) as it:
        output, _ = await asyncio.to_thread(it.communicate, timeout=START_SECONDS)

    assert it.returncode == 1
    assert "address already in use" in output.lower()


def test_a_setting_that_cannot_work_is_named(environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        COMMAND, env={**environment, "SECRET_KEY": "short"}, capture_output=True, text=True
    )

    assert done.returncode != 0
    assert "secret_key" in done.stderr.lower()


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


async def in_progress(client: httpx.AsyncClient, requests: int) -> None:
    """Wait until so many requests are being answered, the question for that among them."""
    line = f"magictoolbox_http_requests_in_progress {requests}.0"
    async with asyncio.timeout(START_SECONDS):
        while line not in (await client.get("/metrics")).text:
            continue
