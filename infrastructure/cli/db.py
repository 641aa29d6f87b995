"""`magictoolbox db`: brings the databases and the streams to the shape that this code needs."""

import asyncio
from typing import Annotated

import typer

from infrastructure.cli.services import exists
from infrastructure.settings import NatsSettings, PostgresSettings

app = typer.Typer(no_args_is_help=True, help="Schema and streams.")
STREAMS = "events.relay.streams"


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
    if streams and exists(STREAMS):
        _declare_streams(NatsSettings())


def _declare_streams(settings: NatsSettings) -> None:
    from events.relay import streams

    asyncio.run(streams.declare(settings.nats_url, settings))
