"""The commands that run one process each; what a process does is told in its own `main` module.

The module is imported when its command runs, so that a worker does not load what an API needs. The
platform runs `python -m infrastructure.cli.services NAME`, which loads no command line either.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
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
EXIT_MISSING = 78


def run_service(name: str) -> None:
    """Run one service until it is told to end."""
    module = SERVICES[name]
    if not exists(module):
        print(f"{name}: there is no module {module} in this installation", file=sys.stderr)
        raise SystemExit(EXIT_MISSING)
    import_module(module).main()


def exists(module: str) -> bool:
    """Whether the module can be imported, without doing so."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def register(app: "typer.Typer") -> None:
    """One command per service."""
    for name in SERVICES:
        app.command(name, help=f"Run the {name} until SIGTERM.", rich_help_panel="Processes")(
            _command(name)
        )


def _command(name: str) -> Callable[[], None]:
    def run() -> None:
        run_service(name)

    return run


if __name__ == "__main__":
    run_service(sys.argv[1])
