"""The projector process, with a real relay and real servers that are killed, wiped and flushed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from nats.js.errors import NotFoundError
from redis.asyncio import Redis

from deploy import migrations
from events.contracts.subjects import LOG_APPENDED, progress_subject
from events.store.repository import LogUnavailable
from infrastructure.broker import UNAVAILABLE, Broker
from infrastructure.health import CheckFailed
from infrastructure.settings import NatsSettings
from projectors.read_models import live
from tests.factories.histories import Histories, facts_of, recorded
from tests.fixtures.servers import Server, ServerFactory
from tests.integration.projectors.running import projector, relay, until
from tests.integration.projectors.stage import Stage, staged


@dataclass
class Scene:
    """A stage, a NATS of its own with a relay, and a Redis."""

    stage: Stage
    nats: Server
    redis_url: str
    bell: Broker

    def projector(self, **settings: Any) -> Any:
        """A projector on this scene."""
        return projector(self.stage.url, self.nats.url, self.redis_url, **settings)

    async def append(self, jobs: int = 20, seed: int = 40, batch: int = 25) -> None:
        """Append a history bit by bit, and poke the relay as services do."""
        rows = Histories(seed).log(jobs=jobs)
        for start in range(0, len(rows), batch):
            await self.stage.append(rows[start : start + batch])
            self.bell.ring(LOG_APPENDED)
            await asyncio.sleep(0)

    async def append_when_possible(self, seed: int) -> None:
        """Append as soon as the log takes it."""
        rows = Histories(seed).log(jobs=5)

        async def is_taken() -> bool:
            try:
                await self.stage.append(rows)
            except LogUnavailable:
                return False
            return True

        await until(is_taken, "the log takes events")

    async def until_projected(self) -> None:
        """Wait until the read models stand at the head of the log."""

        async def is_there() -> bool:
            at = await self.stage.value("SELECT min(position) FROM read_models.checkpoints")
            return bool(at == await self.stage.log.head())

        await until(is_there, "the head of the log is projected")

    async def until_live(self) -> None:
        """Wait until Redis stands where the read models stand."""

        async def is_there() -> bool:
            async with Redis.from_url(self.redis_url) as redis:
                at = await redis.get(live.CHECKPOINT)
            return at is not None and int(at) == await self.stage.log.head()

        await until(is_there, "live status is in step")

    async def assert_equal_to_a_rebuild(self) -> None:
        """What the projector made is what a rebuild makes."""
        report = await self.stage.rebuild().run(switch=False)
        assert set(report.differences.values()) == {0}


@pytest.fixture
async def scene(
    stage: Stage, server_factory: ServerFactory, redis_url: str
) -> AsyncIterator[Scene]:
    """Everything but the projector runs."""
    server = server_factory.nats()
    server.start()
    bell = Broker(NatsSettings(nats_url=server.url), "test")
    await bell.start()
    async with relay(stage.url, server.url):
        yield Scene(stage, server, redis_url, bell)
    await bell.stop()


async def test_what_is_appended_is_projected_and_shown_live(scene: Scene) -> None:
    async with scene.projector():
        await scene.append()
        await scene.until_projected()
        await scene.until_live()

    await scene.assert_equal_to_a_rebuild()


async def test_events_come_through_the_stream(scene: Scene) -> None:
    async with scene.projector(projector_batch_events_max=10):
        await scene.append(jobs=5)
        await scene.until_projected()

        async def is_acknowledged() -> bool:
            try:
                info = await scene.bell.jetstream.consumer_info("EVENTS", "projector")
            except NotFoundError:
                # The log was faster than the stream, whose consumer is not made yet.
                return False
            return info.ack_floor.stream_seq == await scene.stage.log.head()

        await until(is_acknowledged, "every message is acknowledged")


@pytest.mark.parametrize("kills", [6])
async def test_a_projector_that_is_killed_again_and_again_misses_nothing(
    scene: Scene, kills: int
) -> None:
    appending = asyncio.create_task(scene.append(jobs=150, batch=15))
    for _ in range(kills):
        async with scene.projector(projector_batch_events_max=20) as process:
            at = await scene.stage.value("SELECT min(position) FROM read_models.checkpoints")
            await until(_beyond(scene, at), "some progress")
            await process.kill()
    await appending

    async with scene.projector():
        await scene.until_projected()

    await scene.assert_equal_to_a_rebuild()


async def test_a_second_projector_stands_by_and_takes_over(scene: Scene) -> None:
    async with scene.projector() as first, scene.projector() as second:
        await scene.append(seed=41)
        await scene.until_projected()
        await first.kill()
        await scene.append(seed=42)
        await scene.until_projected()
        assert await second.check("projector") is None

    await scene.assert_equal_to_a_rebuild()


async def test_a_wiped_nats_costs_nothing(scene: Scene) -> None:
    async with scene.projector():
        await scene.append(seed=43)
        await scene.until_projected()

        scene.nats.kill()
        scene.nats.wipe()
        await scene.append(seed=44)
        await scene.until_projected()
        scene.nats.start()
        await scene.append(seed=45)
        await scene.until_projected()
        await until(_relayed(scene), "the stream is filled again")
        await scene.append(seed=46)
        await scene.until_projected()

    await scene.assert_equal_to_a_rebuild()


async def test_a_flushed_redis_is_filled_again(scene: Scene) -> None:
    async with scene.projector():
        await scene.append()
        await scene.until_live()

        async with Redis.from_url(scene.redis_url) as redis:
            await redis.flushdb()
        await scene.until_live()


async def test_rows_are_projected_while_redis_is_down(
    scene: Scene, server_factory: ServerFactory
) -> None:
    valkey = server_factory.valkey()
    valkey.start()
    scene.redis_url = valkey.url
    async with scene.projector() as process:
        await scene.append(seed=47)
        await scene.until_live()
        valkey.kill()

        await scene.append(seed=48)
        await scene.until_projected()

        assert await process.check("projector") is None
        valkey.start()
        await scene.until_live()


async def test_live_progress_reaches_the_hash_of_the_job(scene: Scene) -> None:
    histories = Histories(49)
    made = histories.submit()
    made.start_attempt("worker:1", "process", histories.origin(made.tenant))
    async with scene.projector(), Redis.from_url(scene.redis_url) as redis:
        await scene.stage.append(recorded(facts_of(made)))
        await scene.until_live()

        async def is_shown() -> bool:
            body = b'{"attempt": 1, "percent": 25.0, "message": "a quarter"}'
            scene.bell.ring(progress_subject(made.tenant, str(made.id)), body)
            return await redis.hget(live.job_key(made.id), live.PERCENT) == b"25.0"

        await until(is_shown, "the progress is shown")


async def test_a_projector_starts_without_nats_and_without_redis(
    stage: Stage, server_factory: ServerFactory
) -> None:
    nowhere = server_factory.nats()
    await stage.append(Histories(50).log(jobs=10))

    async with projector(stage.url, nowhere.url, "redis://127.0.0.1:1/0") as process:

        async def is_there() -> bool:
            at = await stage.value("SELECT min(position) FROM read_models.checkpoints")
            return bool(at == await stage.log.head())

        await until(is_there, "the log is followed")
        assert await process.check("projector") is None
        with pytest.raises(CheckFailed):
            await process.check("nats")


async def test_a_projector_outlives_its_database(
    server_factory: ServerFactory, redis_url: str
) -> None:
    postgres = server_factory.postgres()
    postgres.start()
    nowhere = server_factory.nats()
    await asyncio.to_thread(migrations.upgrade, postgres.url)
    async with staged(postgres.url) as stage:
        await stage.append(Histories(51).log(jobs=5))
        async with projector(postgres.url, nowhere.url, redis_url):
            scene = Scene(stage, nowhere, redis_url, Broker(NatsSettings(), "unused"))
            await scene.until_projected()
            postgres.kill()
            postgres.start()
            await scene.append_when_possible(seed=52)
            await scene.until_projected()

        await scene.assert_equal_to_a_rebuild()


def _beyond(scene: Scene, position: int) -> Callable[[], Any]:
    async def is_beyond() -> bool:
        at = await scene.stage.value("SELECT min(position) FROM read_models.checkpoints")
        return bool(at > position or at == await scene.stage.log.head())

    return is_beyond


def _relayed(scene: Scene) -> Callable[[], Any]:
    async def is_relayed() -> bool:
        try:
            info = await scene.bell.jetstream.stream_info("EVENTS")
        except UNAVAILABLE:
            return False
        return info.state.last_seq == await scene.stage.log.head()

    return is_relayed
