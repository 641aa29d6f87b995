"""The processing side on real servers at short intervals: services, and a client."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from events.contracts.envelope import RecordedEvent
from events.contracts.subjects import LOG_APPENDED, READY_STREAM, cancel_subject
from events.contracts.values import FileRef, JobStatus
from events.domain.job import Job, JobRequest
from events.relay import streams
from events.store.codec import Codec
from events.store.log import PostgresLog
from events.store.repository import LogUnavailable, Repository, open_repository
from events.store.sealing import Seal, Sealer
from infrastructure.blobs.base import new_blob_key
from infrastructure.blobs.disk import DiskBlobStore
from infrastructure.broker import UNAVAILABLE as NATS_UNAVAILABLE
from infrastructure.broker import Broker
from infrastructure.clock import SystemClock
from infrastructure.ids import uuid7
from infrastructure.postgres import UNAVAILABLE, Pool, Role, create_pool
from infrastructure.process import Running
from infrastructure.settings import NatsSettings, PostgresSettings, SealingSettings
from processors import clock_main, dispatcher_main, worker_main
from processors.tools.no_op import NoOp
from tests.fixtures.events import origin

DEADLINE_SECONDS: Final = 45.0
POLL_SECONDS: Final = 0.01
SEALING_KEY: Final = "only-for-tests-0123456789abcdef0123"
TOOLS: Final = "tests.factories.tools:registry"
ROOT: Final = Path(__file__).parents[3]
QUICK: Final = {
    "beat_seconds": 0.1,
    "lease_seconds": 1.6,
    "sweep_seconds": 0.1,
    "offer_seconds": 0.3,
    "persist_seconds": 0.05,
    "drain_seconds": 5.0,
    "worker_slots": 2,
    "inline_slots": 16,
    "database_timeout_seconds": 5.0,
}
"""Everything ten times as fast as in production, or more."""


class Service:
    """One service of the floor, as in its process."""

    def __init__(self, building: AbstractAsyncContextManager[Running]) -> None:
        self._building = building
        self.running: Running | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> "Service":
        """Build it and let it run."""
        self.running = await self._building.__aenter__()
        self._tasks = [asyncio.create_task(each.run()) for each in self.running.services]
        return self

    async def drain(self) -> None:
        """End it as SIGTERM does."""
        assert self.running is not None
        for each in self.running.services:
            each.drain()
        await self._leave()

    async def cut(self) -> None:
        """End it without a drain."""
        for task in self._tasks:
            task.cancel()
        await self._leave()

    async def is_ready(self) -> bool:
        """Whether all its checks pass."""
        assert self.running is not None
        try:
            for check in self.running.checks.values():
                await check.probe()
        except Exception:
            return False
        return True

    async def _leave(self) -> None:
        if self.running is not None:
            self.running = None
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._building.__aexit__(None, None, None)


class Floor:
    """What a test acts on."""

    def __init__(self, database_url: str, nats_url: str, folder: Path) -> None:
        self.database_url, self.nats_url, self.folder = database_url, nats_url, folder
        self.work_folder = folder / "work"
        self.nats = NatsSettings(nats_url=nats_url)
        self.broker = Broker(self.nats, "client")
        self.blobs = DiskBlobStore(folder / "blobs")
        self.sealer = Sealer(SealingSettings(sealing_key=SEALING_KEY))
        self.seals: dict[UUID, Seal] = {}
        self._services: list[Service] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._pool: Pool | None = None
        self._repository: Repository | None = None

    @property
    def repository(self) -> Repository:
        assert self._repository is not None
        return self._repository

    @property
    def pool(self) -> Pool:
        assert self._pool is not None
        return self._pool

    # -- services -------------------------------------------------------------------------------

    async def dispatcher(self, **changes: Any) -> Service:
        """A dispatcher, started; it offers as much as it may, however slow the workers are."""
        changes = {"ready_floor": 10_000, **changes}
        return await self._start(
            dispatcher_main.build(self._settings(dispatcher_main.Settings, changes))
        )

    async def clock(self, **changes: Any) -> Service:
        """A clock, started."""
        return await self._start(clock_main.build(self._settings(clock_main.Settings, changes)))

    async def worker(self, **changes: Any) -> Service:
        """A worker with the tools of tests, started and ready."""
        settings = self._settings(worker_main.Settings, changes)
        service = await self._start(worker_main.build(settings, TOOLS))
        await self.until(service.is_ready, "the worker is not ready")
        return service

    def worker_process(self, **environment: str) -> subprocess.Popen[bytes]:
        """A worker in a process of its own, with the tools of the product."""
        quick = {name.upper(): str(value) for name, value in QUICK.items()}
        with (self.folder / "worker.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", "from processors.worker_main import main; main()"],
                env={**os.environ, **quick, **self.environment(), **environment},
                cwd=ROOT,
                stdout=output,
            )
        self._processes.append(process)
        return process

    def environment(self) -> dict[str, str]:
        """Where everything is."""
        return {
            "DATABASE_URL": self.database_url,
            "NATS_URL": self.nats_url,
            "BLOB_URL": (self.folder / "blobs").as_uri(),
            "SEALING_KEY": SEALING_KEY,
            "WORK_FOLDER": str(self.work_folder),
        }

    def _settings(self, kind: type[Any], changes: dict[str, Any]) -> Any:
        own = {name.lower(): value for name, value in self.environment().items()}
        return kind(**{**QUICK, **own, **changes})

    async def _start(self, building: AbstractAsyncContextManager[Running]) -> Service:
        service = Service(building)
        self._services.append(service)
        return await service.start()

    # -- a client -------------------------------------------------------------------------------

    async def submit(
        self,
        tool: str = "no-op",
        *contents: bytes,
        then: Callable[[Job], object] = lambda job: None,
        tenant: str = "acme",
        **options: Any,
    ) -> Job:
        """A job that was accepted; `job_…` options are fields of the request.

        `then` happens to it in the same append, before anybody else can see it.
        """
        job_id = uuid7()
        seal, key = self.sealer.new_key(job_id, tenant, "user:1")
        self.seals[job_id] = seal
        fields = {k.removeprefix("job_"): options.pop(k) for k in list(options) if "job_" in k}
        version = NoOp.version if tool == NoOp.name else "1"
        defaults = {"tool_version": version, "timeout_seconds": 60.0, "attempts_max": 3}
        request = JobRequest(
            owner="user:1",
            tool=tool,
            options=seal.seal("options", json.dumps(options)),
            inputs=[await self.file(seal, content) for content in contents],
            **{**defaults, **fields},
        )
        job = Job.submit(job_id, request, origin(tenant=tenant, at=SystemClock().now()))
        then(job)
        await self.repository.save(job, keys=[key])
        return job

    async def cancel(self, job: Job, *, ring: bool = True) -> None:
        """Call a job off, as the command API does."""
        await self.change(job, lambda job: job.cancel(origin()))
        if ring:
            self.broker.ring(cancel_subject(str(job.id)))

    async def change(self, job: Job, decide: Callable[[Job], object]) -> Job:
        """Let something happen to a job."""
        changed, _ = await self.repository.change(Job, job.id, decide)
        return changed

    async def load(self, job: Job) -> Job:
        """The job as it is now."""
        return await self.repository.load(Job, job.id)

    async def history(self, job: Job) -> list[RecordedEvent]:
        """What has happened to it."""
        rows = await PostgresLog(self.pool).read_stream(job.id)
        return [Codec().decode_row(row) for row in rows]

    async def topics(self, job: Job) -> list[str]:
        """What has happened to it, in short."""
        return [event.fact.TOPIC.rpartition(".")[2] for event in await self.history(job)]

    async def message(self, job: Job) -> str:
        """Why it failed, in words."""
        loaded = await self.load(job)
        assert loaded.error_message is not None
        return self.seals[job.id].open("message", loaded.error_message)

    async def file(self, seal: Seal, content: bytes, name: str = "notes.txt") -> FileRef:
        """A file in the blob store, its name under this seal."""
        async with await self.blobs.write(new_blob_key("acme")) as writer:
            await writer.write(content)
            written = await writer.commit()
        sealed = seal.seal("name", name)
        return FileRef(sealed, "text/plain", len(content), written.sha256, written.key)

    # -- waiting --------------------------------------------------------------------------------

    async def until(
        self, condition: Callable[[], Any], complaint: str, seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Wait until an async condition holds; servers that are away make it false."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if await condition():
                    return
            except (LogUnavailable, *UNAVAILABLE, *NATS_UNAVAILABLE):
                pass
            assert time.monotonic() < deadline, complaint
            await asyncio.sleep(POLL_SECONDS)

    async def until_status(
        self, job: Job, *statuses: JobStatus, seconds: float = DEADLINE_SECONDS
    ) -> Job:
        """Wait until the job is in one of these states."""

        async def reached() -> bool:
            return (await self.load(job)).status in statuses

        await self.until(reached, f"the job never became {statuses}", seconds)
        return await self.load(job)

    async def until_topic(self, job: Job, topic: str, times: int = 1) -> None:
        """Wait until that has happened to it."""

        async def happened() -> bool:
            return (await self.topics(job)).count(topic) >= times

        await self.until(happened, f"{topic} never happened {times} times")

    async def rows(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Ask the database, as its owner."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    # -- the house ------------------------------------------------------------------------------

    async def declare(self) -> None:
        """Make the streams, as the relay does."""

        async def first() -> int:
            return 1

        await streams.declare(self.broker.jetstream, self.nats, first)

    async def offers(self) -> int:
        """How many offers lie on READY."""
        info = await self.broker.jetstream.stream_info(READY_STREAM)
        return info.state.messages

    async def open(self) -> None:
        await self.broker.start()
        assert await self.broker.wait_connected(30)
        await self.declare()
        settings = PostgresSettings(database_url=self.database_url, database_timeout_seconds=20.0)
        self._pool = await create_pool(settings, Role.COMMAND_API)
        self._repository = open_repository(
            settings, Role.COMMAND_API, self._pool, lambda _: self.broker.ring(LOG_APPENDED)
        )

    async def close(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
            process.send_signal(signal.SIGCONT)
            process.wait(30)
        for service in reversed(self._services):
            await service.cut()
        await self.repository.close()
        self.pool.terminate()
        await self.blobs.close()
        await self.broker.stop()


@asynccontextmanager
async def opened(database_url: str, nats_url: str, folder: Path) -> AsyncIterator[Floor]:
    """A floor without services."""
    floor = Floor(database_url, nats_url, folder)
    await floor.open()
    try:
        yield floor
    finally:
        await floor.close()
