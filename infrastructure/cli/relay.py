"""`magictoolbox relay`: runs the relay; `relay reconcile` mends what it has stopped for."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from infrastructure.cli.services import run_service

if TYPE_CHECKING:
    from events.relay.reconcile import Reconciled

app = typer.Typer(help="Run the relay until SIGTERM, or mend its stream.")
ANSWER_SECONDS_MAX = 60.0
EXIT_UNAVAILABLE = 1


@app.callback(invoke_without_command=True)
def relay(context: typer.Context) -> None:
    """Run the relay until SIGTERM, or mend its stream."""
    if context.invoked_subcommand is None:
        run_service("relay")


@app.command()
def reconcile(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option(help="Also if stream and log agree.")] = False,
) -> None:
    """Make the stream EVENTS anew from the log, after Postgres was restored from a backup."""
    if not yes:
        typer.confirm("Delete the stream EVENTS and fill it anew from the log?", abort=True)
    try:
        _tell(asyncio.run(_reconcile(force)))
    except TimeoutError:
        print(f"no answer within {ANSWER_SECONDS_MAX:.0f} s: are NATS and Postgres up?")
        raise SystemExit(EXIT_UNAVAILABLE) from None


async def _reconcile(force: bool) -> "Reconciled | str":
    from events.relay.reconcile import NothingToReconcile, reconcile
    from infrastructure.nats_client import connect
    from infrastructure.settings import NatsSettings, PostgresSettings

    nats, postgres = NatsSettings(), PostgresSettings()
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        client = await connect(nats, "magictoolbox reconcile")
        try:
            return await reconcile(client.jetstream(), nats, postgres, even_if_agreed=force)
        except NothingToReconcile as nothing:
            return str(nothing)
        finally:
            await client.give_up()


def _tell(outcome: "Reconciled | str") -> None:
    if isinstance(outcome, str):
        print(outcome)
        return
    agreed = outcome.agreed_position
    print(f"stream was at {outcome.stream_position}, the log is at {outcome.log_position}")
    print(f"they agreed up to {'nothing that is still known' if agreed is None else agreed}")
    print(f"the stream begins anew at {outcome.first_position}; the relay fills it")
    if outcome.to_rebuild:
        names = " ".join(outcome.to_rebuild)
        print(f"these have read what the log does not hold, rebuild them: {names}", file=sys.stderr)
