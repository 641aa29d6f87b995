"""Everything breaks at random for half a minute, several times at once; nothing is lost."""

import asyncio
import random
import shutil
import time
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from nats.js.errors import NotFoundError

from deploy import migrations
from events.contracts.subjects import EVENTS_STREAM
from events.store.append import AppendError
from infrastructure.broker import UNAVAILABLE
from tests.fixtures.servers import Server, ServerFactory
from tests.integration.events.relay.stage import Stage, staged

STORM_SECONDS = 30.0
CALM_SECONDS_MAX = 1.5
BROKEN_SECONDS_MAX = 1.0
SETTLE_SECONDS = 120.0
BURST_EVENTS_MAX = 400
BURST_BYTES = (50, 500, 2_000)
BURST_PAUSE_SECONDS_MAX = 0.05
"""Enough for some hundred MB in all: log and stream are held in memory to be compared."""


class Storm:
    """What can go wrong, each put right again after a moment."""

    def __init__(self, stage: Stage, nats: Server, postgres: Server, seed: int) -> None:
        self._stage = stage
        self._nats = nats
        self._postgres = postgres
        self._random = random.Random(seed)
        self.is_over = False

    async def rage(self) -> None:
        """Break something, again and again."""
        await self._new_relay()
        calamities: list[Callable[[], Awaitable[None]]] = [
            self._kill_nats,
            self._freeze_nats,
            self._wipe_nats,
            self._remove_folder,
            self._delete_stream,
            self._kill_postgres,
            self._new_relay,
            self._new_relay,
        ]
        until = time.monotonic() + STORM_SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(self._random.uniform(0, CALM_SECONDS_MAX))
            await self._random.choice(calamities)()
        # A server whose folder was removed finds out at its next start, and cannot be read before.
        await self._kill_nats()
        self.is_over = True

    async def append(self) -> None:
        """Append bursts of any size until it is over."""
        while not self.is_over:
            try:
                size = self._random.choice(BURST_BYTES)
                await self._stage.append(self._random.randint(1, BURST_EVENTS_MAX), size=size)
            except (AppendError, asyncpg.InternalClientError):
                pass
            await asyncio.sleep(self._random.uniform(0, BURST_PAUSE_SECONDS_MAX))

    async def _new_relay(self) -> None:
        """A second relay, or another one in the place of one that dies."""
        while len(self._stage.relays) >= 2:
            await self._stage.relays.pop(0).kill()
        await self._stage.relay(answer_seconds_max=1.0, stuck_seconds_max=3.0)

    async def _kill_nats(self) -> None:
        self._nats.kill()
        await self._a_moment()
        await self._start_nats()

    async def _start_nats(self) -> None:
        """It may call itself unhealthy until the relay has made its damaged stream anew."""
        self._nats.launch()
        await self._stage.connected()

    async def _freeze_nats(self) -> None:
        self._nats.freeze()
        await self._a_moment()
        self._nats.thaw()

    async def _wipe_nats(self) -> None:
        self._nats.kill()
        self._nats.wipe()
        await self._a_moment()
        await self._start_nats()

    async def _remove_folder(self) -> None:
        shutil.rmtree(self._nats.home / "store", ignore_errors=True)

    async def _delete_stream(self) -> None:
        try:
            await self._stage.jetstream.delete_stream(EVENTS_STREAM)
        except (*UNAVAILABLE, NotFoundError):  # type: ignore[misc]
            return

    async def _kill_postgres(self) -> None:
        self._postgres.kill()
        await self._a_moment()
        self._postgres.start()

    async def _a_moment(self) -> None:
        await asyncio.sleep(self._random.uniform(0, BROKEN_SECONDS_MAX))


@pytest.mark.drill
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_storm_loses_nothing(server_factory: ServerFactory, seed: int) -> None:
    postgres, nats = server_factory.postgres(), server_factory.nats()
    postgres.start()
    nats.start()
    await asyncio.to_thread(migrations.upgrade, postgres.url)

    async with staged(postgres.url, nats.url) as stage:
        await stage.connected()
        storm = Storm(stage, nats, postgres, seed)
        await asyncio.gather(storm.rage(), storm.append())
        last = await stage.append(1)
        await stage.until_relayed(last, SETTLE_SECONDS)

        first = (await stage.stream()).state.first_seq
        await stage.assert_mirrored(first=first)
