"""The relay as its own process: started without servers, poked, killed, ended."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from events.contracts.subjects import LOG_APPENDED
from events.relay.main import POLL_SECONDS
from tests.fixtures.servers import Server
from tests.integration.events.relay.stage import Stage, staged

EXIT_SECONDS = 30.0


class Process:
    """A relay process, and the next one after it was killed."""

    def __init__(self, database_url: str, nats_url: str) -> None:
        self._environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "NATS_URL": nats_url,
        }
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is not waited for."""
        command = [sys.executable, "-m", "infrastructure.cli.main", "relay"]
        self._running = subprocess.Popen(command, env=self._environment)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        assert self._running is not None
        self._running.send_signal(number)
        return self._running.wait(EXIT_SECONDS)

    def close(self) -> None:
        """End it if it runs."""
        if self._running is not None and self._running.poll() is None:
            self._running.kill()
            self._running.wait()


@pytest.fixture
def process(database_url: str, server: Server) -> Iterator[Process]:
    """A relay process, not started."""
    made = Process(database_url, server.url)
    yield made
    made.close()


async def test_a_process_waits_for_nats_publishes_and_drains(
    process: Process, database_url: str, server: Server
) -> None:
    async with staged(database_url, server.url) as stage:
        last = await stage.append(100)
        process.start()
        server.start()
        await stage.connected()
        await stage.until_relayed(last)

        assert await asyncio.to_thread(process.end, signal.SIGTERM) == 0
        await stage.assert_mirrored()


async def test_a_killed_process_is_followed_by_the_next(process: Process, stage: Stage) -> None:
    process.start()
    await stage.until_relayed(await stage.append(1))
    for _ in range(2):
        last = await stage.append(4_000)
        stage.ring(LOG_APPENDED)
        await stage.until_relayed(last - 3_900)
        await asyncio.to_thread(process.end, signal.SIGKILL)
        process.start()

    await stage.until_relayed(last)
    await stage.assert_mirrored()


async def test_a_poke_is_faster_than_the_poll(process: Process, stage: Stage) -> None:
    process.start()
    await stage.until_relayed(await stage.append(1))
    seconds = []

    for _ in range(10):
        began = time.monotonic()
        last = await stage.append(1)
        stage.ring(LOG_APPENDED)
        await stage.until_relayed(last)
        seconds.append(time.monotonic() - began)

    # By the poll alone each would take the whole second that has just begun; a busy machine may
    # hold up any of them, but not all.
    assert min(seconds) < POLL_SECONDS / 2
