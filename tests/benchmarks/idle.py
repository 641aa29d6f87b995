"""What a platform costs that has nothing to do: one minute with all services on.

What PostgreSQL is asked is counted by pg_stat_statements, which is loaded for this benchmark alone:
each call of each statement, BEGIN and COMMIT too, under the role that the caller took, which its
application_name shows as well. The minute begins when all that comes after a start is over. Memory
is the PSS of the worker with its sandbox.
"""

import asyncio
import os
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
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
TEXT_SHOWN = 60
STATEMENTS_SHOWN = 12
CALLS = """
SELECT r.rolname AS role, regexp_replace(s.query, '\\s+', ' ', 'g') AS query,
       sum(s.calls)::bigint AS calls
  FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid JOIN pg_roles r ON r.oid = s.userid
 WHERE d.datname = $1 GROUP BY 1, 2 ORDER BY 3 DESC
"""


@dataclass(frozen=True)
class Asked:
    """One statement of one role, and how often it was called in the minute."""

    role: str
    query: str
    calls: int


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    count_statements(stand)
    url = stand.new_database("bench_idle")
    told = environment(stand, url)
    with ExitStack() as stack:
        stack.enter_context(platform(stand, told, *OTHERS))
        say("idle: waiting for everything to settle")
        time.sleep(SETTLE_SECONDS)
        say("idle: one minute")
        asked, cpu = asyncio.run(counted(stand, url))
        worker = pss_megabytes(ours(told, "worker"))
    for each in asked[:STATEMENTS_SHOWN]:
        say(f"idle: {each.calls} calls by {each.role}: {each.query[:TEXT_SHOWN]}")
    return [
        Row(
            "idle platform, calls in pg_stat_statements",
            Figure(sum(each.calls for each in asked) / IDLE_SECONDS, "/s"),
            sense=Sense.AT_MOST,
            bar=CALLS_A_SECOND_MAX,
        ),
        *(Row(f"  of these by {role}", Figure(s, "/s")) for role, s in by_role(asked)),
        *(Row(f"  processor time in that minute, {name}", Figure(s, "s")) for name, s in cpu),
        Row(
            "idle worker with its sandbox, PSS",
            Figure(worker, "MB"),
            sense=Sense.AT_MOST,
            bar=WORKER_MB_MAX,
        ),
    ]


def count_statements(stand: Stand) -> None:
    """Let the server of this benchmark count; it has to be started anew for that."""

    async def ask(statement: str) -> None:
        connection = await asyncpg.connect(stand.postgres.url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(ask("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements"))
    stand.postgres.stop()
    stand.postgres.start()
    asyncio.run(ask("CREATE EXTENSION pg_stat_statements"))


async def counted(stand: Stand, url: str) -> tuple[list[Asked], list[tuple[str, float]]]:
    """The calls, and the processor time of services and servers, of the minute."""
    # From another database, so that the watcher is not counted.
    watch = await asyncpg.connect(stand.postgres.url)
    told = environment(stand, url)
    await watch.fetchval("SELECT pg_stat_statements_reset()")
    before = cpu_seconds(stand, told)
    await asyncio.sleep(IDLE_SECONDS)
    after = cpu_seconds(stand, told)
    rows = await watch.fetch(CALLS, url.rpartition("/")[2])
    await watch.close()
    cpu = [(kind, after[kind] - before.get(kind, 0.0)) for kind in sorted(after)]
    return [Asked(**row) for row in rows], cpu


def by_role(asked: list[Asked]) -> list[tuple[str, float]]:
    """The calls a second of each role, the most first."""
    calls: Counter[str] = Counter()
    for each in asked:
        calls[each.role] += each.calls
    return [(role, count / IDLE_SECONDS) for role, count in calls.most_common()]


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
