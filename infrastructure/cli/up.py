"""`magictoolbox up`: starts a whole platform and keeps it running until it is told to stop.

Prints one line that starts with `ready` on standard output; everything else it says goes to
standard error. Exits 0 after an orderly stop, 2 when what was asked for is taken, 1 when something
would not start.
"""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated

import typer

from infrastructure.cli.connection import Connection, Login, write_connection
from infrastructure.cli.first_steps import first_steps
from infrastructure.cli.platform import platform
from infrastructure.cli.platform_plan import WORKERS_MAX, PlatformPlan, Wishes
from infrastructure.embedded.errors import DataFolderInUse, EmbeddedError, PortBusy
from infrastructure.logging import configure_logging

EXIT_FAILED = 1
EXIT_TAKEN = 2
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def up(
    data_dir: Annotated[Path, typer.Option(help="Everything the platform keeps.")] = Path("data"),
    command_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="8000, or the next free one.")
    ] = None,
    query_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="8001, or the next free one.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=WORKERS_MAX, help="Worker processes.")] = 1,
    show_first_steps: Annotated[
        bool, typer.Option("--first-steps", help="Then print the login and a command to try.")
    ] = False,
) -> None:
    """Start the platform on embedded real servers, and stay up."""
    wishes = Wishes(command_port, query_port, workers)
    configure_logging("up", "WARNING", out=sys.stderr.buffer)
    sys.exit(run_to_the_end(_up(data_dir, wishes, show_first_steps)))


def run_to_the_end(main: Coroutine[None, None, None]) -> int:
    """Run until done or signalled; the exit code, with the reason told."""
    try:
        asyncio.run(_until_signalled(main))
    except (DataFolderInUse, PortBusy) as taken:
        tell(f"error: {taken}")
        return EXIT_TAKEN
    except EmbeddedError as failed:
        tell(f"error: {failed}")
        return EXIT_FAILED
    return 0


async def _until_signalled(main: Coroutine[None, None, None]) -> None:
    """The first signal cancels; what then has to be stopped is stopped in order, signal or not."""
    task = asyncio.ensure_future(main)
    signalled = asyncio.Event()

    def stop() -> None:
        if not signalled.is_set():
            signalled.set()
            tell("stopping: the services finish what they have begun, then the servers end")
            task.cancel()

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not signalled.is_set():
            raise


async def _up(data_dir: Path, wishes: Wishes, show_first_steps: bool) -> None:
    async with platform(data_dir, wishes, tell) as plan:
        write_connection(data_dir, _connection(plan))
        print(_ready_line(plan, data_dir), flush=True)
        if show_first_steps:
            print(first_steps(plan), flush=True)
        # Until the signal cancels us.
        await asyncio.Event().wait()


def _connection(plan: PlatformPlan) -> Connection:
    """What the client commands need when they are given the data folder."""
    told = plan.environment
    login = Login(told.get("ADMIN_USERNAME", ""), told.get("ADMIN_PASSWORD", ""))
    return Connection(plan.command_url, plan.query_url, login)


def _ready_line(plan: PlatformPlan, data_dir: Path) -> str:
    return f"ready command={plan.command_url} query={plan.query_url} data={data_dir.absolute()}"


def tell(text: str) -> None:
    """Say something that is for people and not for programs."""
    print(text, file=sys.stderr, flush=True)
