"""Processes of the platform and of peers, started for a benchmark and ended after it."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import asyncpg
import httpx

from events.contracts.values import PLATFORM_TENANT, Origin
from events.domain.tool import Offer, Tool
from events.store.append import PostgresAppender
from events.store.log import PostgresLog
from events.store.repository import Repository
from infrastructure.clock import SystemClock
from infrastructure.ids import uuid7
from infrastructure.postgres import Role
from processors.tools.no_op import NoOp
from processors.tools.registry import offer_of
from tests.benchmarks.stand import Stand

READY_SECONDS = 60.0
STOP_SECONDS = 40.0
ADMINISTRATOR = {"username": "bench", "password": "bench-password-1"}
APIS = {"command-api", "query-api"}
NO_OP_BODY = '{"tool": "no-op", "options": {}, "inputs": []}'
_OFFER_FIELDS = tuple(Offer.__slots__)


def environment(stand: Stand, database_url: str) -> dict[str, str]:
    """What every process of the platform is told."""
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "NATS_URL": stand.nats.url,
        "REDIS_URL": stand.valkey.url,
        "BLOB_URL": f"file://{stand.folder / 'blobs'}",
        "SECRET_KEY": "s" * 48,
        "SEALING_KEY": "k" * 48,
        "ADMIN_USERNAME": ADMINISTRATOR["username"],
        "ADMIN_PASSWORD": ADMINISTRATOR["password"],
        "LOG_LEVEL": "WARNING",
        "REQUESTS_PER_MINUTE": "100000000",
        "WORK_FOLDER": str(stand.folder / "work"),
    }


def peer_environment(stand: Stand) -> dict[str, str]:
    """What the Celery comparator is told: broker and backend in databases of their own."""
    server = stand.valkey.url.removesuffix("/0")
    return {**os.environ, "PEER_BROKER_URL": f"{server}/9", "PEER_BACKEND_URL": f"{server}/10"}


@contextmanager
def process(
    command: list[str], told: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """One process, its output in a file; ended in order."""
    with log.open("wb") as output:
        running = subprocess.Popen(command, env=dict(told), stdout=output, stderr=output)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def service(name: str, stand: Stand, told: Mapping[str, str]) -> Iterator[str]:
    """One of our processes, ready; yields the address of its HTTP side."""
    port = free_port()
    listens = {"PORT": str(port)} if name in APIS else {"HEALTH_PORT": str(port)}
    addressed = {**told, **listens}
    command = [sys.executable, "-m", "infrastructure.cli.main", name]
    log = stand.folder / f"{name}-{port}.log"
    with process(command, addressed, log) as running:
        url = f"http://127.0.0.1:{port}"
        wait_until_answering(f"{url}/ready", running, log)
        yield url


@contextmanager
def platform(stand: Stand, told: Mapping[str, str], *extra: str) -> Iterator[dict[str, str]]:
    """The processes between a submit and its end, ready; yields their addresses by name."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(service(name, stand, told))
            for name in ("relay", "dispatcher", "worker", "projector", *extra)
        }


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_answering(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    """Return once a GET is answered 200 (or 404, for a peer without such a route)."""
    deadline = time.monotonic() + READY_SECONDS
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline and running.poll() is None:
            try:
                if client.get(url).status_code in {200, 404}:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer:\n{log.read_text()[-3000:]}")


def token(command_url: str) -> str:
    """An access token of the administrator."""
    answer = httpx.post(f"{command_url}/api/v1/auth/token", data=ADMINISTRATOR, trust_env=False)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def offer_no_op(database_url: str) -> None:
    """Put the no-op tool into the log, as a worker does when it starts."""
    asyncio.run(_offer_no_op(database_url))


async def _offer_no_op(database_url: str) -> None:
    origin = Origin(
        PLATFORM_TENANT, "worker:bench", str(uuid7()), "bench", "bench", SystemClock().now()
    )
    described = asdict(offer_of(NoOp()))
    tool = Tool.introduce("no-op", origin)
    tool.offer(Offer(**{name: described[name] for name in _OFFER_FIELDS}), origin)
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        repository = Repository(PostgresLog(pool), PostgresAppender(database_url, Role.PROCESSORS))
        await repository.save(tool)
        await repository.close()
