"""Runs a whole platform; it is ready when a job could be submitted and finished.

A context manager: inside it everything runs and is restarted when it dies; leaving it drains the
services first and ends the servers last.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from infrastructure.cli.platform_plan import PlatformPlan, Wishes, plan_platform
from infrastructure.embedded.child import Child, complete
from infrastructure.embedded.data_folder import DataFolder
from infrastructure.embedded.errors import EmbeddedError
from infrastructure.embedded.loopback import get
from infrastructure.embedded.ports import PortClaims
from infrastructure.embedded.servers import end_orphans, running

TOOLS_SECONDS_MAX = 60.0
TOOLS_POLL_SECONDS = 0.1

log = structlog.get_logger(__name__)

Say = Callable[[str], None]


class NoTools(EmbeddedError):
    """No worker's tools became visible."""

    def __init__(self, api: str, logs: Path) -> None:
        super().__init__(
            f"the {api} sees no tool after {TOOLS_SECONDS_MAX:.0f} s: "
            f"look at the logs of worker-1, relay and projector in {logs}"
        )


@asynccontextmanager
async def platform(data_dir: Path, wishes: Wishes, say: Say) -> AsyncIterator[PlatformPlan]:
    """A running platform in that folder; raises EmbeddedError, saying why, if it cannot be."""
    with DataFolder(data_dir) as folder:
        if ended := end_orphans(folder):
            log.warning("orphans_ended", pids=ended)
        with PortClaims() as ports:
            plan = plan_platform(folder, wishes, ports)
            say("starting the servers" if plan.servers.programs else "using external servers")
            async with running(plan.servers, folder):
                say("migrating")
                await complete(plan.migration, folder)
                say("starting the services")
                async with _services(plan, folder):
                    yield plan
                say("stopping the servers")


@asynccontextmanager
async def _services(plan: PlatformPlan, folder: DataFolder) -> AsyncIterator[None]:
    children = [Child(program, folder) for program in plan.services]
    try:
        for child in children:
            child.launch()
        await _all_ready(children, plan, folder)
        yield
    finally:
        await asyncio.gather(*(child.stop() for child in children))


async def _all_ready(children: list[Child], plan: PlatformPlan, folder: DataFolder) -> None:
    """Wait for all at once, so that the first one that fails is the one that is told of."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for child in children:
                tasks.create_task(child.ready())
    except* EmbeddedError as errors:
        raise errors.exceptions[0] from None
    await asyncio.gather(
        _sees_tools("command-api", plan.command_port, folder),
        _sees_tools("query-api", plan.query_port, folder),
    )


async def _sees_tools(api: str, port: int, folder: DataFolder) -> None:
    try:
        async with asyncio.timeout(TOOLS_SECONDS_MAX):
            while await asyncio.to_thread(_tools_of, port) < 1:  # noqa: ASYNC110
                await asyncio.sleep(TOOLS_POLL_SECONDS)
    except TimeoutError:
        raise NoTools(api, folder.logs) from None


def _tools_of(port: int) -> int:
    """How many tools that API says it sees."""
    answer = get(port, "/ready")
    if answer is None:
        return 0
    try:
        check = json.loads(answer[1])["checks"]["tools"]
        return int(check["detail"] if isinstance(check, dict) else check)
    except (ValueError, KeyError, TypeError):
        return 0
