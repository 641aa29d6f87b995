"""What is left of the query API when something it stands on is away."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from infrastructure.metrics import REGISTRY
from query_api import lifespan, live_status, reader
from query_api.app import create_app
from query_api.settings import QueryApiSettings
from tests.fixtures.databases import DatabaseFactory
from tests.fixtures.query_api import AuthHeaders, World, query_api
from tests.fixtures.servers import Server, ServerFactory
from tests.fixtures.waiting import eventually

SWITCHES = 30
NOWHERE = "127.0.0.1:1"
READY_URL = "http://query.test/ready"


@pytest.fixture
async def lonely_client(query_settings: QueryApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that finds neither NATS nor Redis."""
    lonely = {"nats_url": f"nats://{NOWHERE}", "redis_url": f"redis://{NOWHERE}/0"}
    app = create_app(query_settings.model_copy(update=lonely))
    async with query_api(app, hears=False) as client:
        yield client


async def test_without_nats_and_redis_everything_is_still_read(
    lonely_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.offer()
    job_id = await world.submit()
    await world.start(job_id)
    await world.project()
    headers = await auth_headers()

    job = await lonely_client.get(f"/jobs/{job_id}", headers=headers)
    listed = await lonely_client.get("/jobs", headers=headers)
    ready = await lonely_client.get(READY_URL)

    assert (job.json()["status"], job.json()["progress"]) == ("running", None)
    assert len(listed.json()["items"]) == 1
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    checks = ready.json()["checks"]
    assert {name for name, check in checks.items() if check["status"] == "failed"} == {
        "nats",
        "redis",
    }
    assert checks["tools"] == {"status": "ok", "detail": "1"}


async def test_without_nats_a_position_is_still_waited_for(
    lonely_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    headers = await auth_headers()

    asking = asyncio.create_task(lonely_client.get(f"/jobs/{job_id}", headers=headers))
    await asyncio.sleep(0)
    await world.project()

    assert (await asking).status_code == 200


async def test_without_nats_a_long_poll_still_ends(
    lonely_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()
    headers = await auth_headers()
    known = await lonely_client.get(f"/jobs/{job_id}", headers=headers)
    headers["If-None-Match"] = known.headers["ETag"]

    asking = asyncio.create_task(lonely_client.get(f"/jobs/{job_id}?wait=30", headers=headers))
    await world.start(job_id)
    await world.project()

    async with asyncio.timeout(60):
        assert (await asking).json()["status"] == "running"


async def test_a_redis_that_hangs_slows_one_answer_and_not_every_one(
    query_settings: QueryApiSettings,
    world: World,
    auth_headers: AuthHeaders,
    server_factory: ServerFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_status, "READ_SECONDS_MAX", 1.0)
    monkeypatch.setattr(lifespan, "REDIS_SECONDS_MAX", 1.0)
    valkey = server_factory.valkey()
    valkey.start()
    job_id = await world.submit()
    await world.start(job_id)
    await world.project()
    headers = await auth_headers()
    settings = query_settings.model_copy(update={"redis_url": valkey.url})
    async with query_api(create_app(settings)) as client:
        await client.get(f"/jobs/{job_id}", headers=headers)
        valkey.freeze()
        first = await client.get(f"/jobs/{job_id}", headers=headers)
        began = time.monotonic()
        more = [await client.get(f"/jobs/{job_id}", headers=headers) for _ in range(10)]
        took = time.monotonic() - began
        valkey.thaw()

    assert {answer.status_code for answer in (first, *more)} == {200}
    assert took < 10 * live_status.READ_SECONDS_MAX


async def test_read_models_that_were_deleted_are_behind_and_no_error(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders, database_url: str
) -> None:
    job_id = await world.submit()
    await world.project()
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP VIEW read_models.job_summary")
    await connection.close()

    answer = await query_client.get(f"/jobs/{job_id}", headers=await auth_headers())

    assert (answer.status_code, answer.json()["code"]) == (503, "PROJECTION_BEHIND")
    assert answer.headers["Retry-After"] == "1"


async def test_readers_never_notice_that_tables_are_switched(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders, database_url: str
) -> None:
    await world.offer()
    job_id = await world.submit()
    await world.project()
    headers = await auth_headers()
    connection = await asyncpg.connect(database_url)
    reading = True

    async def read() -> set[int]:
        found = set()
        while reading:
            found.add((await query_client.get(f"/jobs/{job_id}", headers=headers)).status_code)
            found.add((await query_client.get("/jobs", headers=headers)).status_code)
        return found

    readers = [asyncio.create_task(read()) for _ in range(4)]
    for _ in range(SWITCHES):
        async with connection.transaction():
            for name in ("job_summary", "tool_catalogue"):
                await connection.execute(f"DROP VIEW read_models.{name}")
                source = f"SELECT * FROM read_models.{name}_1"
                await connection.execute(f"CREATE VIEW read_models.{name} AS {source}")
                await connection.execute(f"GRANT SELECT ON read_models.{name} TO mt_query_api")
    reading = False
    await connection.close()

    assert await asyncio.gather(*readers) == [{200}] * 4


async def test_a_connection_that_broke_is_replaced_unnoticed(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders, database_url: str
) -> None:
    job_id = await world.submit()
    await world.project()
    headers = await auth_headers()
    await query_client.get(f"/jobs/{job_id}", headers=headers)
    connection = await asyncpg.connect(database_url)
    ended = await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'magictoolbox:mt_query_api'"
    )
    await connection.close()

    answer = await query_client.get(f"/jobs/{job_id}", headers=headers)

    assert ended
    assert answer.status_code == 200


async def test_more_readers_than_the_pool_serves_in_time_are_sent_away(
    query_settings: QueryApiSettings,
    world: World,
    auth_headers: AuthHeaders,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "POOL_WAIT_SECONDS_MAX", 0.05)
    job_id = await world.submit()
    await world.project()
    headers = await auth_headers()
    settings = query_settings.model_copy(update={"database_pool_size": 1})
    connection = await asyncpg.connect(query_settings.dsn)
    async with query_api(create_app(settings)) as client:
        await client.get(f"/jobs/{job_id}", headers=headers)
        async with connection.transaction():
            await connection.execute("LOCK TABLE read_models.checkpoints")
            asking = [
                asyncio.create_task(client.get(f"/jobs/{job_id}", headers=headers))
                for _ in range(3)
            ]
            ended = asyncio.as_completed(asking, timeout=60)
            sent_away = [(await next(ended)).status_code for _ in range(2)]
            metrics = (await client.get("http://query.test/metrics")).text
        served = (await next(ended)).status_code
    await connection.close()

    assert (sent_away, served) == ([503, 503], 200)
    assert 'magictoolbox_pool_in_use{pool="reads"} 1.0' in metrics


async def test_a_caller_who_leaves_gives_the_connection_back(
    query_settings: QueryApiSettings, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()
    headers = await auth_headers()
    settings = query_settings.model_copy(update={"database_pool_size": 1})
    connection = await asyncpg.connect(query_settings.dsn)
    async with query_api(create_app(settings)) as client:
        async with connection.transaction():
            await connection.execute("LOCK TABLE read_models.checkpoints")
            leaving = asyncio.create_task(client.get(f"/jobs/{job_id}", headers=headers))
            await eventually(lambda: connections_in_use() == 1)
            leaving.cancel()
            await asyncio.wait([leaving])
        answer = await client.get(f"/jobs/{job_id}", headers=headers)
    await connection.close()

    assert leaving.cancelled()
    assert answer.status_code == 200


def connections_in_use() -> float | None:
    """How many connections of the reader's pool are in use."""
    return REGISTRY.get_sample_value("magictoolbox_pool_in_use", {"pool": "reads"})


class TestWithoutPostgres:
    """A database server of its own, so that it can be killed."""

    @pytest.fixture
    def postgres(self, server_factory: ServerFactory) -> Server:
        server = server_factory.postgres()
        server.start()
        return server

    @pytest.fixture
    def database_url(self, postgres: Server) -> str:
        return DatabaseFactory(postgres.url).migrated()

    async def test_every_route_says_that_it_is_a_matter_of_time(
        self,
        query_client: httpx.AsyncClient,
        world: World,
        auth_headers: AuthHeaders,
        postgres: Server,
    ) -> None:
        job_id = await world.submit()
        await world.project()
        headers = await auth_headers()
        before = await query_client.get(f"/jobs/{job_id}", headers=headers)
        postgres.kill()

        paths = ("/jobs", f"/jobs/{job_id}", f"/jobs/{job_id}?at=1", "/tools")
        away = [await query_client.get(path, headers=headers) for path in paths]
        not_ready = await query_client.get(READY_URL)
        alive = await query_client.get("http://query.test/health")
        postgres.start()
        after = await query_client.get(f"/jobs/{job_id}", headers=headers)
        ready = await query_client.get(READY_URL)

        assert before.status_code == 200
        assert {(each.status_code, each.json()["code"]) for each in away} == {
            (503, "SERVICE_UNAVAILABLE")
        }
        assert {each.headers["Retry-After"] for each in away} == {"1"}
        assert (not_ready.status_code, alive.status_code) == (503, 200)
        assert (after.content, ready.status_code) == (before.content, 200)
