"""`magictoolbox projections`: where the read models stand, and building them anew."""

import asyncio
import json
import logging
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from infrastructure.settings import PostgresSettings, RedisSettings

if TYPE_CHECKING:
    from projectors.rebuild import Report
    from projectors.status import Status

CONNECT_SECONDS_MAX = 10.0
REDIS_SECONDS_MAX = 2.0
EXIT_REFUSED = 1

app = typer.Typer(no_args_is_help=True, help="Read models: their state, and rebuilding them.")


@app.callback()
def group() -> None:
    """Read models: their state, and rebuilding them."""


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Show position, head of the log, lag and generation of every projection."""
    found = asyncio.run(_status(PostgresSettings(), RedisSettings()))
    if as_json:
        print(json.dumps(asdict(found), default=str))
    else:
        _show(found)


@app.command()
def rebuild(
    switch_back: Annotated[
        bool, typer.Option("--switch-back", help="Return to the generation before the last one.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Build and compare, but keep the live one.")
    ] = False,
) -> None:
    """Build all read models anew from the log, beside the live ones, and switch to them."""
    if switch_back and check:
        raise typer.BadParameter("--switch-back and --check exclude each other")
    # What a rebuild logs is shown, but standard output is for the result.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    _tell(asyncio.run(_rebuild(PostgresSettings(), switch_back=switch_back, check=check)))


async def _status(postgres: PostgresSettings, redis_settings: RedisSettings) -> "Status":
    from redis.asyncio import Redis

    from infrastructure.postgres import Role, connect
    from projectors.status import read_status

    redis = Redis.from_url(
        redis_settings.redis_url,
        socket_timeout=REDIS_SECONDS_MAX,
        socket_connect_timeout=REDIS_SECONDS_MAX,
    )
    log = await connect(postgres.dsn, Role.PROJECTORS)
    reads = await connect(postgres.read_dsn, Role.PROJECTORS)
    try:
        return await read_status(log, reads, redis)
    finally:
        await log.close()
        await reads.close()
        await redis.aclose()


async def _rebuild(settings: PostgresSettings, *, switch_back: bool, check: bool) -> "Report":
    from projectors.collector import look_seldom
    from projectors.rebuild import NothingToSwitchTo, RebuildRunning
    from projectors.wiring import create_tail_pool, make_rebuild

    look_seldom()
    async with await create_tail_pool(settings) as log:
        made = make_rebuild(settings, log)
        try:
            return await (made.switch_back() if switch_back else made.run(switch=not check))
        except (NothingToSwitchTo, RebuildRunning) as refused:
            print(refused, file=sys.stderr)
            raise SystemExit(EXIT_REFUSED) from None


def _show(status: "Status") -> None:
    print(f"{'projection':<18}{'generation':>10}{'position':>12}{'lag':>10}")
    for one in status.projections:
        generation = "-" if one.generation is None else one.generation
        position = "absent" if one.position is None else one.position
        lag = "-" if one.lag is None else one.lag
        print(f"{one.name:<18}{generation:>10}{position:>12}{lag:>10}")
    print(f"{'the log':<18}{'':>10}{status.head:>12}\n")
    for each in status.generations:
        parked = f", {each.parked} aggregates parked" if each.parked else ""
        print(f"generation {each.generation}: {each.state}{parked}")


def _tell(report: "Report") -> None:
    done = "is live" if report.is_switched else "was compared and dropped"
    print(f"generation {report.generation} {done}, at position {report.position},")
    print(f"after {report.seconds:.1f} s")
    if not report.differences:
        print("it was not compared with the live one, which is damaged, older or elsewhere")
    for name, rows in report.differences.items():
        print(f"{name}: {'equal' if rows == 0 else f'{rows} rows differ'}")
