"""What the log and its pool tell the metrics."""

import asyncio

from infrastructure.metrics import REGISTRY, exposition
from infrastructure.postgres import Role, create_pool
from infrastructure.settings import PostgresSettings
from tests.fixtures.events import Store, submitted_job


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"magictoolbox_{name}", labels) or 0.0


async def test_appends_are_counted_by_outcome(postgres_store: Store) -> None:
    recorded = sample("appends_total", outcome="recorded")
    conflicts = sample("appends_total", outcome="conflict")
    job = submitted_job()
    await postgres_store.repository.save(job)

    await asyncio.gather(
        *(postgres_store.repository.save(submitted_job(job.id)) for _ in range(2)),
        return_exceptions=True,
    )

    assert sample("appends_total", outcome="recorded") == recorded + 1
    assert sample("appends_total", outcome="conflict") == conflicts + 2
    assert sample("log_position") == 1


async def test_a_pool_shows_who_has_and_who_waits(database_url: str) -> None:
    settings = PostgresSettings(database_url=database_url, _env_file=None)
    pool = await create_pool(settings, Role.RELAY, size=1, name="test")
    async with pool.acquire():
        waiter = asyncio.create_task(pool.fetchval("SELECT 1"))
        await asyncio.sleep(0)
        held = {name: sample(f"pool_{name}", pool="test") for name in ("in_use", "waiting")}
    assert await waiter == 1

    assert held == {"in_use": 1.0, "waiting": 1.0}
    assert sample("pool_waiting", pool="test") == 0.0
    assert b"magictoolbox_pool_size" in exposition()
    await pool.close()
