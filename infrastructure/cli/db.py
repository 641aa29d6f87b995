"""`magictoolbox db`: brings the databases and the streams to the shape that this code needs."""

import asyncio
import sys
from typing import Annotated

import typer

from infrastructure.settings import NatsSettings, PostgresSettings

STREAMS_SECONDS_MAX = 60.0

app = typer.Typer(no_args_is_help=True, help="Schema and streams.")


@app.callback()
def group() -> None:
    """Schema and streams."""


@app.command()
def migrate(
    streams: Annotated[bool, typer.Option(help="Declare the streams and consumers too.")] = True,
) -> None:
    """Upgrade both lines of migrations, then declare the streams; safe to run again."""
    from deploy import migrations

    postgres = PostgresSettings()
    migrations.upgrade(postgres.dsn, postgres.read_dsn)
    if not streams:
        return
    try:
        asyncio.run(_declare_streams(postgres, NatsSettings()))
    except TimeoutError:
        print(f"NATS did not answer within {STREAMS_SECONDS_MAX:.0f} s", file=sys.stderr)
        raise SystemExit(1) from None


async def _declare_streams(postgres: PostgresSettings, settings: NatsSettings) -> None:
    from events.relay.checkpoints import Checkpoints
    from events.relay.streams import declare
    from infrastructure.nats_client import connect

    async with asyncio.timeout(STREAMS_SECONDS_MAX):
        client = await connect(settings, "migrate")
        try:
            await declare(client.jetstream(), settings, Checkpoints(postgres).first_wanted)
        finally:
            await client.close()
