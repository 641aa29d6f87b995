"""What a benchmark stands on: fresh real servers and a migrated database."""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy import migrations
from tests.fixtures.servers import Server, ServerFactory

BLOCK = 8192
SYNCS = 200


@dataclass(frozen=True)
class Stand:
    """The servers of one benchmark run."""

    folder: Path
    postgres: Server
    nats: Server
    valkey: Server

    def new_database(self, name: str) -> str:
        """A fresh database with the whole schema; returns its address."""
        asyncio.run(_create(self.postgres.url, name))
        url = self.postgres.url.rsplit("/", 1)[0] + f"/{name}"
        migrations.upgrade(url)
        return url

    def fdatasync_ms(self) -> float:
        """What one flush of 8 kB costs where the database lies, in the middle."""
        path = self.folder / "flush"
        times = []
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
        try:
            for _ in range(SYNCS):
                os.pwrite(descriptor, os.urandom(BLOCK), 0)
                began = time.perf_counter()
                os.fdatasync(descriptor)
                times.append(time.perf_counter() - began)
        finally:
            os.close(descriptor)
            path.unlink()
        return sorted(times)[len(times) // 2] * 1000


async def _create(server_url: str, name: str) -> None:
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


@contextmanager
def stand() -> Iterator[Stand]:
    """Start the three servers, as the product does, and end them."""
    with tempfile.TemporaryDirectory(prefix="magictoolbox-bench-") as name:
        folder = Path(name)
        numbers = iter(range(1, 1000))

        def new_folder() -> Path:
            path = folder / f"server-{next(numbers)}"
            path.mkdir()
            return path

        factory = ServerFactory(new_folder)
        try:
            made = Stand(folder, factory.postgres(), factory.nats(), factory.valkey())
            for server in (made.postgres, made.nats, made.valkey):
                server.launch()
            for server in (made.postgres, made.nats, made.valkey):
                server.wait_until_ready()
            yield made
        finally:
            factory.close()
