"""What the sandbox costs: a forked run over a call, and conversions over a bare pool of processes.

The overhead is that of one no-op run after the other, behind all walls of this machine, over the
same call in the same process. The conversions are the same photos, by the same code, end to end
(from the submit to the read model, with blobs and events) and in a bare ProcessPoolExecutor of as
many processes as there are cores, which reads and writes plain files. Rounds are interleaved.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from uuid import uuid4

import asyncpg
import uvloop

from command_api.commands import ReceivedInput, SubmitJob
from command_api.lifespan import opened
from command_api.resources import Resources
from command_api.settings import CommandApiSettings
from events.store.provisional_blobs import ProvisionalBlobs
from infrastructure.blobs.base import new_blob_key
from infrastructure.clock import SystemClock
from infrastructure.http.incoming import ReceivedFile
from infrastructure.logging import configure_logging
from infrastructure.principals import Principal, Role
from processors.sandbox.execution import execute
from processors.sandbox.run import ToolRun
from processors.sandbox.runner import Sandbox
from processors.tools.base import InputFile
from processors.tools.registry import installed
from tests.benchmarks.end_to_end import SUCCEEDED, succeeded
from tests.benchmarks.services import environment, platform
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row, Sense, median, quantile
from tests.factories import files

RUNS = 300
WARM_UP_RUNS = 30
PAUSE_SECONDS = 0.02
"""Between two runs: a worker that is busy without a break is the other benchmark's matter."""
OVERHEAD_MS = 10.0
ROUNDS = 3
PHOTOS = 48
SIDE = 1600, 1200
CORES = os.cpu_count() or 1
TENANT = "default"


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    say("sandbox: one run after the other")
    forked, called = uvloop.run(overhead())
    took = [f - c for f, c in zip(sorted(forked), sorted(called), strict=True)]
    url = stand.new_database("bench_sandbox")
    ours, pools = [], []
    photo = files.photo_jpeg(*SIDE)
    with platform(stand, {**environment(stand, url), "WORKER_SLOTS": str(CORES)}):
        converted(stand, url, WARM_UP_RUNS // 3)
        for number in range(ROUNDS):
            say(f"sandbox: conversions, round {number + 1} of {ROUNDS}")
            ours.append(converted(stand, url, PHOTOS))
            pools.append(in_a_pool(photo, PHOTOS))
    pool = Figure(median(pools), "/s")
    return [
        Row(
            "a sandboxed run over a call, p50",
            Figure(median(took) * 1000, "ms"),
            sense=Sense.AT_MOST,
            bar=OVERHEAD_MS,
        ),
        Row("  p99", Figure(quantile(took, 0.99) * 1000, "ms")),
        Row(
            "photos converted, end to end",
            Figure(median(ours), "/s"),
            f"a bare pool of {CORES} processes",
            pool,
            bar=0.85,
        ),
    ]


async def overhead() -> tuple[list[float], list[float]]:
    """Seconds of each run in the sandbox, and of each call without one."""
    tool, box = installed().get("no-op"), Sandbox()
    await box.start()
    forked, called = [], []
    with tempfile.TemporaryDirectory() as folder:
        run = ToolRun(tool.name, {}, (), Path(folder), tool.limits)
        for number in range(WARM_UP_RUNS + RUNS):
            began = time.perf_counter()
            await box.run(run, lambda *_: None)
            between = time.perf_counter()
            await execute(tool, run, lambda *_: None)
            ended = time.perf_counter()
            if number >= WARM_UP_RUNS:
                forked.append(between - began)
                called.append(ended - between)
            await asyncio.sleep(PAUSE_SECONDS)
    await box.stop()
    return forked, called


def converted(stand: Stand, url: str, photos: int) -> float:
    """Conversions a second of the platform, driven from a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.sandbox", str(photos)]
    done = subprocess.run(
        command, env=environment(stand, url), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return float(json.loads(done.stdout))


async def drive(photos: int) -> float:
    """Submit photos with their blobs, and wait until the read model shows all ends."""
    settings = CommandApiSettings()
    watch = await asyncpg.connect(settings.dsn)
    principal = Principal(uuid4(), TENANT, Role.CLIENT, 1)
    photo = files.photo_jpeg(*SIDE)
    async with opened(settings, SystemClock()) as resources:
        before = await watch.fetchval(SUCCEEDED)
        began = time.perf_counter()
        for number in range(photos):
            # Of the same bytes there would be a result already; what follows a picture changes
            # nothing.
            await submitted(resources, principal, photo + f"{began} {number}".encode())
        await succeeded(watch, before + photos)
        took = time.perf_counter() - began
    await watch.close()
    return photos / took


async def submitted(resources: Resources, principal: Principal, photo: bytes) -> None:
    """One photo, received and submitted."""
    key = new_blob_key(TENANT)
    async with await resources.blobs.write(key) as blob:
        await blob.write(photo)
        written = await blob.commit()
    file = ReceivedFile("file", "a.jpg", "image/jpeg", written.size_bytes, written.sha256, key)
    async with ProvisionalBlobs(resources.blobs) as blobs:
        blobs.add(key)
        command = SubmitJob(
            principal=principal,
            request_id="bench",
            tool="image-converter",
            options={},
            inputs=(ReceivedInput(file),),
        )
        await resources.handlers.submit_job(command, blobs)


def in_a_pool(photo: bytes, photos: int) -> float:
    """Conversions a second of a bare pool on plain files."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(CORES) as pool,
    ):
        source = Path(folder) / "a.jpg"
        source.write_bytes(photo)
        list(pool.map(convert, [(source, Path(folder))] * 2 * CORES))
        began = time.perf_counter()
        list(pool.map(convert, [(source, Path(folder))] * photos))
        return photos / (time.perf_counter() - began)


def convert(given: tuple[Path, Path]) -> int:
    """One conversion, as the platform has it done."""
    source, root = given
    tool = installed().get("image-converter")
    with tempfile.TemporaryDirectory(dir=root) as folder:
        file = InputFile(source, "a.jpg", "image/jpeg", source.stat().st_size, "")
        run = ToolRun(tool.name, {}, (file,), Path(folder), tool.limits)
        made = asyncio.run(execute(tool, run, lambda *_: None))
        return made.outputs[0].path.stat().st_size


if __name__ == "__main__":
    configure_logging("bench", "WARNING", out=sys.stderr.buffer)
    sys.stdout.write(json.dumps(uvloop.run(drive(int(sys.argv[1])))))
