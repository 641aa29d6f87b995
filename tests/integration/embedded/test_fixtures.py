"""The shared fixtures give real, separate, empty places."""

import asyncpg
import nats
import psycopg
from redis.asyncio import Redis

from tests.fixtures.servers import ServerFactory, Servers


async def test_a_fresh_database_is_one_of_its_own(
    servers: Servers, empty_database_url: str
) -> None:
    session = await asyncpg.connect(empty_database_url)
    try:
        name = await session.fetchval("SELECT current_database()")
    finally:
        await session.close()

    assert servers.postgres.url.endswith("/magictoolbox")
    assert name != "magictoolbox"


async def test_nats_has_jetstream_and_no_stream(nats_url: str) -> None:
    connection = await nats.connect(nats_url)
    account = await connection.jetstream().account_info()
    await connection.close()

    assert account.streams == 0


async def test_redis_databases_are_separate(redis_url: str, servers: Servers) -> None:
    async with Redis.from_url(redis_url) as mine, Redis.from_url(servers.valkey.url) as other:
        await mine.set("name", "mine")

        assert await other.get("name") is None
        assert await mine.dbsize() == 1


def test_a_killed_database_comes_back_with_what_was_committed(
    server_factory: ServerFactory,
) -> None:
    server = server_factory.postgres()
    server.start()
    with psycopg.connect(server.url, autocommit=True) as session:
        for setting in ("fsync", "data_checksums", "synchronous_commit"):
            assert session.execute(f"SHOW {setting}").fetchone() == ("on",)
        session.execute("CREATE TABLE kept AS SELECT 1 AS one")

    server.kill()
    server.start()

    with psycopg.connect(server.url) as session:
        assert session.execute("SELECT one FROM kept").fetchone() == (1,)
