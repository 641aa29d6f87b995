"""The relay process: publishes the log to NATS."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from events.contracts.subjects import LOG_APPENDED
from events.relay.publisher import Relay
from infrastructure.broker import Broker
from infrastructure.periodic import ServiceLoop
from infrastructure.process import Running, run_process
from infrastructure.settings import NatsSettings, PostgresSettings, ProcessSettings

NAME = "relay"
POLL_SECONDS = 3.0
"""How late an event is at most whose poke was lost."""
PAUSE_SECONDS_MAX = 2.0


class RelaySettings(PostgresSettings, NatsSettings, ProcessSettings):
    """All that the relay is told."""


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = RelaySettings()
    run_process(NAME, settings, lambda: build(settings))


@asynccontextmanager
async def build(settings: RelaySettings) -> AsyncIterator[Running]:
    """The relay on its connections."""
    broker = Broker(settings, f"magictoolbox {NAME}")
    await broker.start()
    try:
        relay = Relay(broker, settings, settings)
        loop = ServiceLoop(relay, idle_seconds=POLL_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX)
        await broker.subscribe(LOG_APPENDED, lambda _: loop.wake())
        checks = {"nats": broker.check(), "relay": loop.check, "agreement": relay.check}
        yield Running([loop], checks)
    finally:
        await broker.stop()
