"""The projector process: folds the log into the read models, and live status into Redis."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from redis.asyncio import Redis

from events.store.log import PostgresLog
from infrastructure.broker import Broker, nats_broker
from infrastructure.leadership import Leadership
from infrastructure.periodic import ServiceLoop
from infrastructure.postgres import Role, create_pool
from infrastructure.process import Running, run_process
from projectors import progress, wiring
from projectors.announcements import Announcer
from projectors.batches import Batches
from projectors.collector import look_seldom
from projectors.group import Group
from projectors.intake import Intake
from projectors.listening import Listening
from projectors.live_feed import LiveFeed
from projectors.live_source import LiveSource
from projectors.live_status import LiveStatus
from projectors.live_store import LiveStore
from projectors.runner import Runner
from projectors.settings import ProjectorSettings
from projectors.tables import PostgresTables

NAME = "projector"
PAUSE_SECONDS_MAX = 2.0
IDLE_SECONDS = 2.0
"""How late a lost poke, or tables that somebody emptied, are noticed at most."""
REDIS_SECONDS_MAX = 2.0


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = ProjectorSettings()
    look_seldom()
    run_process(NAME, settings, lambda: build(settings))


@asynccontextmanager
async def build(settings: ProjectorSettings) -> AsyncIterator[Running]:
    """The projector on its connections."""
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(await wiring.create_tail_pool(settings))
        reads = await stack.enter_async_context(
            await create_pool(settings, Role.PROJECTORS, dsn=settings.read_dsn, name="reads")
        )
        redis = Redis.from_url(
            settings.redis_url,
            socket_timeout=REDIS_SECONDS_MAX,
            socket_connect_timeout=REDIS_SECONDS_MAX,
        )
        stack.push_async_callback(redis.aclose)
        bell = Broker(settings, f"magictoolbox {NAME}")
        await bell.start()
        stack.push_async_callback(bell.stop)
        batch_max = settings.projector_batch_events_max
        broker = nats_broker(settings, f"magictoolbox {NAME} intake", apply_types=False)
        listening = Listening(broker, batch_max=batch_max)

        skip = settings.projector_unknown_topics == "skip"
        group = Group(skip_unknown_topics=skip)
        feed, heard = LiveFeed(), progress.ProgressHeard()
        leadership = Leadership(settings.read_dsn, Role.PROJECTORS, f"{NAME}:{group.name}")
        intake = Intake(listening, batch_max=batch_max)
        progress.listen(listening, heard)
        runner = Runner(
            group,
            PostgresTables(
                group, Batches(group), PostgresLog(log), wiring.connect_to_write(settings)
            ),
            PostgresLog(log),
            intake,
            leadership,
            Announcer(group, bell.ring, feed),
            wiring.make_rebuild(settings, log, skip_unknown_topics=skip).run,
        )
        live = LiveStatus(
            LiveStore(redis), LiveSource(reads, log), feed, heard, lambda: leadership.is_held
        )
        run = ServiceLoop(runner, idle_seconds=IDLE_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX)
        show = ServiceLoop(live, pause_seconds_max=PAUSE_SECONDS_MAX)
        intake.wake, feed.wake, heard.wake = run.wake, show.wake, show.wake
        await listening.start()
        stack.push_async_callback(listening.stop)
        checks = {"projector": run.check, "nats": bell.check(critical=False)}
        yield Running([run, show], checks)
