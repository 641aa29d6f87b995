"""The stream is the log, in order and without a hole, whatever happens on the way."""

import asyncio
import os

import pytest

from tests.fixtures.servers import Server
from tests.integration.events.relay.stage import Stage, until


async def test_events_are_published_in_order_and_sequence_is_position(stage: Stage) -> None:
    await stage.append(300)
    await stage.relay()
    await stage.until_relayed(300)

    last = 300
    for _ in range(20):
        last = await stage.append(1)
        await stage.until_relayed(last)
    last = await stage.append(2_500)
    await stage.until_relayed(last)

    await stage.assert_mirrored()


async def test_a_server_killed_in_mid_publish_neither_loses_nor_reorders(
    stage: Stage, server: Server
) -> None:
    await stage.append(12_000)
    running = await stage.relay()

    for _ in range(3):
        seen = running.relay.position or 0
        await until(lambda before=seen: (running.relay.position or 0) > before + 200)  # type: ignore[misc]
        server.kill()
        server.start()
    last = await stage.append(500)
    await stage.until_relayed(last)

    await stage.assert_mirrored()
