"""Appends: against multi-row INSERT of the same bytes, and against the stock recorder.

The limit inserts the very rows in batches of 256 over one connection, with the same columns and
indexes and no head row, no ordering and no callers to answer. The stock recorder is the
eventsourcing library's own, in its safe mode, with 16 threads. Rounds are interleaved.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import uvloop
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from events.store.append import Append, PostgresAppender
from infrastructure.ids import uuid7
from infrastructure.postgres import Role
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row, Sense, median, quantile

ROUNDS = 3
STATE = b"x" * 300
TOPIC = "magictoolbox.job.submitted"
BATCH = 256
LIMIT_BATCHES = 60
APPENDS = {64: 12_000, 256: 20_000}
STOCK_THREADS = 16
STOCK_SECONDS = 2.0

LIMIT_TABLE = """
CREATE TABLE bench_rows (LIKE event_store.stored_events);
ALTER TABLE bench_rows ADD PRIMARY KEY (originator_id, originator_version);
CREATE UNIQUE INDEX ON bench_rows (notification_id);
"""
LIMIT_INSERT = """
INSERT INTO bench_rows
SELECT id, version, topic, state, position, now(), tenant
  FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bytea[], $5::bigint[], $6::text[])
       AS row (id, version, topic, state, position, tenant)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """Rate and waits of one round."""

    per_second: float
    p50_ms: float
    p99_ms: float


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    url = stand.new_database("bench_append")
    limits: list[float] = []
    stock: list[float] = []
    ours: dict[tuple[int, int], list[Run]] = {}
    uvloop.run(_make_limit_table(url))
    for number in range(ROUNDS):
        say(f"append: round {number + 1} of {ROUNDS}")
        limits.append(uvloop.run(limit(url, number)))
        for in_flight in (64, 256):
            ours.setdefault((1, in_flight), []).append(uvloop.run(appends(url, in_flight)))
        ours.setdefault((2, 64), []).append(two_processes(url, 64))
        stock.append(stock_recorder(url))
    return _rows(stand.fdatasync_ms(), median(limits), median(stock), ours)


async def limit(url: str, round_number: int) -> float:
    """Rows a second of prebuilt multi-row inserts."""
    connection = await asyncpg.connect(url)
    statement = await connection.prepare(LIMIT_INSERT)
    base = round_number * BATCH * LIMIT_BATCHES
    batches = [
        (
            [uuid7() for _ in range(BATCH)],
            [1] * BATCH,
            [TOPIC] * BATCH,
            [STATE] * BATCH,
            list(range(base + number * BATCH, base + (number + 1) * BATCH)),
            ["acme"] * BATCH,
        )
        for number in range(LIMIT_BATCHES)
    ]
    began = time.perf_counter()
    for batch in batches:
        await statement.fetch(*batch)
    took = time.perf_counter() - began
    await connection.close()
    return LIMIT_BATCHES * BATCH / took


async def appends(url: str, in_flight: int) -> Run:
    """Single-event appends by so many callers at once, each to a stream of its own."""
    appender = PostgresAppender(url, Role.PROCESSORS)
    waits: list[float] = []

    async def caller(prebuilt: Sequence[Append]) -> None:
        for append in prebuilt:
            began = time.perf_counter()
            await appender.append(append)
            waits.append(time.perf_counter() - began)

    await caller(_prebuilt(20))
    waits.clear()
    each = [_prebuilt(APPENDS[in_flight] // in_flight) for _ in range(in_flight)]
    began = time.perf_counter()
    await asyncio.gather(*(caller(prebuilt) for prebuilt in each))
    took = time.perf_counter() - began
    await appender.close()
    return Run(len(waits) / took, quantile(waits, 0.5) * 1000, quantile(waits, 0.99) * 1000)


def _prebuilt(count: int) -> list[Append]:
    # As the rows of the limit are: what is measured is the append.
    return [Append("acme", [StoredEvent(uuid7(), 1, TOPIC, STATE)]) for _ in range(count)]


def two_processes(url: str, in_flight: int) -> Run:
    """The same from two processes at once; rates add up, waits are the worse ones."""
    command = [sys.executable, "-m", "tests.benchmarks.append", url, str(in_flight)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    runs = [Run(**json.loads(process.communicate()[0])) for process in running]
    return Run(
        sum(run.per_second for run in runs),
        max(run.p50_ms for run in runs),
        max(run.p99_ms for run in runs),
    )


def stock_recorder(url: str) -> float:
    """Appends a second of the library's own recorder."""
    parts = urlsplit(url)
    datastore = PostgresDatastore(
        dbname=parts.path.removeprefix("/"),
        host=parts.hostname or "",
        port=parts.port or 5432,
        user=parts.username or "",
        password=parts.password or "",
        pool_size=STOCK_THREADS,
        max_overflow=STOCK_THREADS,
    )
    recorder = PostgresApplicationRecorder(datastore, events_table_name="stock_events")
    recorder.create_table()
    counts = [0] * STOCK_THREADS
    end = time.perf_counter() + STOCK_SECONDS

    def insert(thread: int) -> None:
        while time.perf_counter() < end:
            recorder.insert_events([StoredEvent(uuid7(), 1, TOPIC, STATE)])
            counts[thread] += 1

    threads = [threading.Thread(target=insert, args=(n,)) for n in range(STOCK_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    datastore.close()
    return sum(counts) / STOCK_SECONDS


async def _make_limit_table(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(LIMIT_TABLE)
    await connection.close()


def _rows(
    flush_ms: float, limit: float, stock: float, ours: dict[tuple[int, int], Sequence[Run]]
) -> list[Row]:
    rows = []
    multi_row = ("256-row INSERT of the same bytes", Figure(limit, "rows/s"))
    for (processes, in_flight), runs in ours.items():
        name = f"appends, {processes} process{'es' if processes > 1 else ''}, {in_flight} in flight"
        if processes > 1:
            name += " each"
        rate = Figure(median([run.per_second for run in runs]), "/s")
        bar = 0.5 if (processes, in_flight) == (1, 256) else None
        rows.append(Row(name, rate, *multi_row, bar=bar))
        times = 20 if (processes, in_flight) == (1, 256) else None
        peer = ("  the same", rate, "stock recorder, 16 threads", Figure(stock, "/s"))
        rows.append(Row(*peer, bar=times))
        p99 = Figure(median([run.p99_ms for run in runs]), "ms")
        bar_ms = 10.0 if (processes, in_flight) == (1, 64) else None
        rows.append(
            Row(f"  p99 (one fdatasync: {flush_ms:.2f} ms)", p99, sense=Sense.AT_MOST, bar=bar_ms)
        )
    return rows


if __name__ == "__main__":
    result = uvloop.run(appends(sys.argv[1], int(sys.argv[2])))
    sys.stdout.write(json.dumps({name: getattr(result, name) for name in Run.__slots__}))
