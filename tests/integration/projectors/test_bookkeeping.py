"""The tables that outlive every generation, made by several projectors at once."""

import asyncio

from infrastructure.postgres import Connection
from projectors import generations
from tests.integration.projectors.stage import Stage

PROJECTORS = 3
ROUNDS = 10


async def test_projectors_that_take_over_at_once_do_not_fail_each_other(stage: Stage) -> None:
    await stage.execute("DROP TABLE read_models.checkpoints", "DROP TABLE read_models.generations")
    connections = [await stage.connect() for _ in range(PROJECTORS)]

    async def take_over(connection: Connection) -> None:
        for _ in range(ROUNDS):
            await generations.ensure_bookkeeping(connection)

    await asyncio.gather(*(take_over(connection) for connection in connections))

    relay_reads = "has_table_privilege('mt_relay', 'read_models.checkpoints', 'SELECT')"
    assert await stage.value(f"SELECT {relay_reads}")
    assert await stage.value("SELECT count(*) FROM read_models.generations") == 0
