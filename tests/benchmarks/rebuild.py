"""A rebuild of all read models, fold and all, against COPY of the same events into a keyed table.

The events are read from PostgreSQL into memory once for the COPY, and only the COPY and the
making of its key are timed. The rebuild reads, decodes, folds, copies five tables, makes their
keys and indexes, compares and switches. Three events of a job stand together, so that much
coalesces.
"""

import asyncio
import os
import subprocess
import sys
import time

import asyncpg
import uvloop

from tests.benchmarks.lives import EVENTS_OF_A_JOB, fill
from tests.benchmarks.services import environment
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row, median

ROUNDS = 3
JOBS = 160_000
COPY_TABLE = """
DROP TABLE IF EXISTS bench_copy;
CREATE TABLE bench_copy (LIKE event_store.stored_events)
"""
COPY_KEY = "ALTER TABLE bench_copy ADD PRIMARY KEY (originator_id, originator_version)"


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    url = stand.new_database("bench_rebuild")
    say("rebuild: filling the log")
    fill(url, JOBS)
    told = environment(stand, url)
    rates: list[float] = []
    copies: list[float] = []
    for number in range(ROUNDS):
        say(f"rebuild: round {number + 1} of {ROUNDS}")
        rates.append(rebuilt(told))
        copies.append(uvloop.run(copied(url)))
    return [
        Row(
            "rebuild of all read models, events",
            Figure(median(rates), "/s"),
            "COPY of the same events, with key",
            Figure(median(copies), "/s"),
            bar=0.5,
        )
    ]


def rebuilt(told: dict[str, str]) -> float:
    """Events a second of one `projections rebuild`, the start of the program left out."""
    command = [sys.executable, "-m", "infrastructure.cli.main", "projections"]
    env = {**os.environ, **told}
    began = time.perf_counter()
    subprocess.run([*command, "status"], env=env, check=True, capture_output=True)
    start = time.perf_counter() - began
    began = time.perf_counter()
    done = subprocess.run([*command, "rebuild"], env=env, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return JOBS * EVENTS_OF_A_JOB / (time.perf_counter() - began - start)


async def copied(url: str) -> float:
    """Rows a second of a COPY into a fresh table, its key included."""
    connection = await asyncpg.connect(url)
    rows = [tuple(row) for row in await connection.fetch("SELECT * FROM event_store.stored_events")]
    await connection.execute(COPY_TABLE)
    await asyncio.sleep(0)
    began = time.perf_counter()
    await connection.copy_records_to_table("bench_copy", records=rows)
    await connection.execute(COPY_KEY)
    took = time.perf_counter() - began
    await connection.close()
    return len(rows) / took
