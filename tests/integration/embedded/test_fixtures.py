"""The shared fixtures give real, separate, empty places."""

import asyncpg
import nats
import psycopg
from redis.asyncio import Redis

from tests.fixtures.servers import ServerFactory, Servers


async def test_a_fresh_database_is_a_durable_one_of_its_own(
    servers: Servers, empty_database_url: str
) -> None:
    session = await asyncpg.connect(empty_database_url)
    try:
        settings = await session.fetchrow(
            "SELECT current_setting('fsync') AS fsync, current_setting('data_checksums') AS sums,"
            " current_setting('synchronous_commit') AS commits, current_database() AS name"
        )
    finally:
        await session.close()

    assert settings is not None
    assert (settings["fsync"], settings["sums"], settings["commits"]) == ("on", "on", "on")
    assert servers.postgres.url.endswith("/magictoolbox")
    assert settings["name"] != "magictoolbox"


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
        session.execute("CREATE TABLE kept AS SELECT 1 AS one")

    server.kill()
    server.start()

    with psycopg.connect(server.url) as session:
        assert session.execute("SELECT one FROM kept").fetchone() == (1,)
