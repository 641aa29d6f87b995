"""`/health`, `/ready`, `/metrics`, and the process as a whole."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.fixtures.command_api import TOOLS, CommandApi
from tests.fixtures.servers import Servers

STOP_SECONDS = 60
READY_SECONDS = 60


async def test_ready_tells_how_many_tools_there_are(
    api: CommandApi, client: httpx.AsyncClient
) -> None:
    async with asyncio.timeout(READY_SECONDS):
        while (answer := await client.get(f"{api.url}/ready")).status_code != httpx.codes.OK:
            continue

    checks = answer.json()["checks"]
    assert answer.json()["status"] == "ready"
    assert checks["accounts"]["status"] == "ok", "whoever reads ready may log in"
    assert checks["tools"] == {"status": "ok", "detail": str(len(TOOLS))}
    assert checks["log"]["status"] == "ok"
    assert checks["scanner"]["detail"] == "off"


async def test_requests_are_counted_by_route_and_not_by_path(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: dict[str, str]
) -> None:
    await client.post("/tools/no-op/process", files={"file": ("a", b"b")}, headers=auth_headers)

    metrics = (await client.get(f"{api.url}/metrics")).text

    assert (await client.get(f"{api.url}/health")).json() == {"status": "ok"}
    assert 'route="/api/v1/tools/{tool}/process",status="202"' in metrics
    assert "magictoolbox_events_appended_total" in metrics


async def test_an_unknown_path_or_method_is_a_problem(
    client: httpx.AsyncClient, auth_headers: dict[str, str]
) -> None:
    nowhere = await client.get("/nowhere", headers=auth_headers)
    wrongly = await client.get("/jobs", headers=auth_headers)

    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "NOT_FOUND")
    assert (wrongly.status_code, wrongly.json()["code"]) == (405, "METHOD_NOT_ALLOWED")


async def test_the_document_describes_what_is_not_read_by_the_framework(
    api: CommandApi, client: httpx.AsyncClient
) -> None:
    document = (await client.get(f"{api.url}/openapi.json")).json()

    process = document["paths"]["/api/v1/tools/{tool}/process"]["post"]
    submit = document["paths"]["/api/v1/jobs"]["post"]
    assert set(process["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
    body = submit["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert body.endswith("/JobBody")
    headers = [parameter["name"] for parameter in submit["parameters"]]
    assert headers == ["Idempotency-Key"]
    assert {"200", "202", "default"} <= set(process["responses"])
    for operations in (process, submit):
        assert operations["security"] == [{"OAuth2PasswordBearer": []}]


async def test_the_process_serves_until_it_is_told_to_end(
    database_url: str, servers: Servers, redis_url: str, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "NATS_URL": servers.nats.url,
        "REDIS_URL": redis_url,
        "BLOB_URL": (tmp_path / "blobs").as_uri(),
        "SECRET_KEY": "s" * 32,
        "SEALING_KEY": "k" * 32,
        "PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "command_api.main",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    lines: list[dict[str, object]] = []
    assert process.stdout is not None
    async with asyncio.timeout(STOP_SECONDS):
        async for line in process.stdout:
            lines.append(json.loads(line))
            if lines[-1]["event"] == "service_started":
                process.send_signal(signal.SIGTERM)

    assert await process.wait() == 0, lines
    assert lines[-1]["event"] == "process_ended"
    assert {line["process"] for line in lines} == {"command-api"}
