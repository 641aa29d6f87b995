"""Whole processes: how they start, what signals do to them, and what they leave as an exit code."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

SECONDS_MAX = 60.0

# A process of one service that says on standard error what happens to it, and finishes what it has
# begun only when `GO_ON` exists.
PROGRAM = """
import asyncio, os, sys
from contextlib import asynccontextmanager
from infrastructure.periodic import Counts, ServiceLoop
from infrastructure.process import Running, run_process
from infrastructure.settings import ProcessSettings

MODE = sys.argv[1]

def say(word):
    print(word, file=sys.stderr, flush=True)

class Service:
    name = "example"
    async def start(self):
        say("started")
    async def run_once(self):
        say("running")
        if MODE == "slow":
            await asyncio.sleep(1.5)
        if MODE == "stuck":
            await asyncio.Event().wait()
        say("ran")
        return Counts(done=1)
    async def stop(self):
        say("stopped")

class Dies:
    name = "dies"
    async def run(self):
        raise OSError("gone")
    def drain(self):
        pass

@asynccontextmanager
async def build():
    if MODE == "broken":
        raise OSError("no database at postgresql://u:canary@host/db")
    if MODE == "waiting":
        say("building")
        await asyncio.Event().wait()
    loop = ServiceLoop(Service(), idle_seconds=0.05)
    yield Running([loop, Dies()] if MODE == "dies" else [loop], {"example": loop.check})
    say("closed")

run_process("example", ProcessSettings(_env_file=None, health_port=0, log_level="INFO"), build)
say("after")
"""


@dataclass
class Child:
    """A process under test: what it said and what it logged so far."""

    process: asyncio.subprocess.Process
    said: list[str]
    logs: list[dict[str, Any]]

    async def until_said(self, word: str) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(SECONDS_MAX):
            while word not in self.said:
                line = await self.process.stderr.readline()
                assert line, f"it ended without saying {word}: {self.said}"
                self.said.append(line.decode().strip())

    async def until_logged(self, event: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                line = await self.process.stdout.readline()
                assert line, f"it ended without logging {event}: {self.logs}"
                self.logs.append(json.loads(line))
                if self.logs[-1]["event"] == event:
                    return self.logs[-1]

    async def end(self) -> int:
        """Wait for the end and return the exit code."""
        async with asyncio.timeout(SECONDS_MAX):
            out, err = await self.process.communicate()
        self.said += err.decode().split("\n")[:-1]
        self.logs += [json.loads(line) for line in out.splitlines()]
        assert self.process.returncode is not None
        return self.process.returncode

    @property
    def events(self) -> list[str]:
        return [record["event"] for record in self.logs]


@asynccontextmanager
async def child(mode: str) -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, mode),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Child(process, [], [])
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_a_signal_drains_and_the_process_exits_0() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        async with child("quick") as process:
            await process.until_said("ran")
            process.process.send_signal(number)

            assert await process.end() == 0
            assert process.said[-3:] == ["stopped", "closed", "after"]
            assert process.events[-1] == "process_ended"


async def test_what_was_begun_is_finished() -> None:
    async with child("slow") as process:
        await process.until_said("running")
        process.process.send_signal(signal.SIGTERM)

        assert await process.end() == 0
        assert process.said == ["started", "running", "ran", "stopped", "closed", "after"]


async def test_health_is_served_and_readiness_falls_with_the_drain() -> None:
    async with child("slow") as process:
        port = (await process.until_logged("health_served"))["port"]
        await process.until_said("ran")
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=SECONDS_MAX
        ) as client:
            ready = (await client.get("/ready")).json()
            assert ready == {"status": "ready", "checks": {"example": {"status": "ok"}}}
            assert "magictoolbox_service_runs_total" in (await client.get("/metrics")).text
            process.process.send_signal(signal.SIGTERM)
            await process.until_logged("signal_received")
            draining = await client.get("/ready")

        assert draining.status_code == 503
        assert draining.json()["checks"] == {"draining": {"status": "failed", "detail": "draining"}}
        assert await process.end() == 0


async def test_a_second_signal_cuts_the_drain_short() -> None:
    async with child("stuck") as process:
        await process.until_said("running")
        process.process.send_signal(signal.SIGTERM)
        await process.until_logged("signal_received")
        process.process.send_signal(signal.SIGTERM)

        assert await process.end() == 1
        assert "drain_cut_short" in process.events
        assert process.said[-2:] == ["stopped", "closed"]


async def test_a_process_that_cannot_start_says_why_and_exits_1() -> None:
    async with child("broken") as process:
        assert await process.end() == 1

    (failure,) = [record for record in process.logs if record["event"] == "process_failed"]
    assert failure["exception"][0]["exc_type"] == "OSError"
    assert "canary" not in json.dumps(process.logs)


async def test_a_signal_ends_a_start_that_waits() -> None:
    async with child("waiting") as process:
        await process.until_said("building")
        process.process.send_signal(signal.SIGTERM)

        assert await process.end() == 0
        assert process.said == ["building", "after"]


async def test_a_service_that_ends_by_itself_ends_the_process_with_1() -> None:
    async with child("dies") as process:
        assert await process.end() == 1

    assert "service_ended_early" in process.events
    assert "service_failed" in process.events
    assert "closed" in process.said
