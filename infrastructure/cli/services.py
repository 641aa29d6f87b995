"""The commands that run one process each; what a process does is told in its own `main` module.

The module is imported when its command runs, so that a worker does not load what an API needs. The
platform runs `python -m infrastructure.cli.services NAME`, which loads no command line either.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

SERVICES = {
    "command-api": "command_api.main",
    "query-api": "query_api.main",
    "relay": "events.relay.main",
    "dispatcher": "processors.dispatcher_main",
    "clock": "processors.clock_main",
    "worker": "processors.worker_main",
    "projector": "projectors.main",
}
GROUPS = frozenset({"relay"})
"""Services whose command is a group of its own, registered by itself."""


def run_service(name: str) -> None:
    """Run one service until it is told to end."""
    import_module(SERVICES[name]).main()


def register(app: "typer.Typer") -> None:
    """One command per service."""
    for name in (name for name in SERVICES if name not in GROUPS):
        app.command(name, help=f"Run the {name} until SIGTERM.", rich_help_panel="Processes")(
            _command(name)
        )


def _command(name: str) -> Callable[[], None]:
    def run() -> None:
        run_service(name)

    return run


if __name__ == "__main__":
    run_service(sys.argv[1])
