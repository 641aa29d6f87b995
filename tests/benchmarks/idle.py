"""What a platform costs that has nothing to do: one minute with all services on.

The embedded PostgreSQL is not told to load pg_stat_statements, so calls are counted as transactions
in pg_stat_database: nearly all of ours are one statement each. The minute begins when all that
comes after a start is over. Memory is the PSS of the worker with its sandbox.
"""

import asyncio
import os
import time
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import psutil

from tests.benchmarks.services import environment, platform
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row, Sense

SETTLE_SECONDS = 20.0
IDLE_SECONDS = 60.0
CALLS_A_SECOND_MAX = 5.0
WORKER_MB_MAX = 150.0
OTHERS = ("clock", "command-api", "query-api")
CALLS = """
SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE datname = $1
"""


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    url = stand.new_database("bench_idle")
    told = environment(stand, url)
    with ExitStack() as stack:
        stack.enter_context(platform(stand, told, *OTHERS))
        say("idle: waiting for everything to settle")
        time.sleep(SETTLE_SECONDS)
        say("idle: one minute")
        calls, cpu = asyncio.run(counted(stand, url))
        worker = pss_megabytes(ours(told, "worker"))
    return [
        Row(
            "idle platform, transactions in PostgreSQL",
            Figure(calls / IDLE_SECONDS, "/s"),
            sense=Sense.AT_MOST,
            bar=CALLS_A_SECOND_MAX,
        ),
        *(Row(f"  processor time in that minute, {name}", Figure(s, "s")) for name, s in cpu),
        Row(
            "idle worker with its sandbox, PSS",
            Figure(worker, "MB"),
            sense=Sense.AT_MOST,
            bar=WORKER_MB_MAX,
        ),
    ]


async def counted(stand: Stand, url: str) -> tuple[int, list[tuple[str, float]]]:
    """Transactions, and the processor time of services and servers, over the minute."""
    # From another database, so that the watcher is not counted.
    watch = await asyncpg.connect(stand.postgres.url)
    name = url.rpartition("/")[2]
    told = environment(stand, url)
    calls = await watch.fetchval(CALLS, name)
    before = cpu_seconds(stand, told)
    await asyncio.sleep(IDLE_SECONDS)
    after = cpu_seconds(stand, told)
    calls = await watch.fetchval(CALLS, name) - calls
    await watch.close()
    return calls, [(kind, after[kind] - before.get(kind, 0.0)) for kind in sorted(after)]


def cpu_seconds(stand: Stand, told: dict[str, str]) -> dict[str, float]:
    """The processor time of everything so far, by what it is."""
    used: dict[str, float] = {}
    for name in ("relay", "dispatcher", "worker", "projector", *OTHERS):
        used[name] = sum(_cpu(process) for process in ours(told, name))
    servers = {"PostgreSQL": "postgres", "NATS": "nats-server", "Valkey": "valkey-server"}
    for shown, program in servers.items():
        running = psutil.Process(os.getpid()).children(recursive=True)
        used[shown] = sum(_cpu(process) for process in running if program in _name(process))
    return used


def ours(told: dict[str, str], name: str) -> list[psutil.Process]:
    """The processes of one of our services, with all below them."""
    found: list[psutil.Process] = []
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            if process.cmdline()[-1:] == [name]:
                found += [process, *process.children(recursive=True)]
        except psutil.Error:
            continue
    return found


def pss_megabytes(processes: list[psutil.Process]) -> float:
    """Their memory, with what they share counted once."""
    kilobytes = 0
    for process in processes:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""
