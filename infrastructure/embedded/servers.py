"""The three servers a platform stands on: embedded ones, or external ones whose address is given.

`plan_servers` chooses ports and gives the addresses; `running` keeps the embedded ones alive until
it is left. What a killed run left behind must be ended before ports are chosen, so that they come
out the same.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from signal import Signals

from infrastructure.embedded import nats, postgres, valkey
from infrastructure.embedded.child import Child
from infrastructure.embedded.data_folder import DataFolder
from infrastructure.embedded.orphans import end, read_pid
from infrastructure.embedded.ports import PortClaims
from infrastructure.embedded.program import Program
from infrastructure.embedded.secrets_file import Secrets

ORPHAN_SERVICE_SECONDS = 5.0
ORPHAN_SERVER_SECONDS = 30.0


@dataclass(frozen=True)
class Endpoints:
    """Where the servers are; the addresses hold passwords."""

    database_url: str
    nats_url: str
    redis_url: str


@dataclass(frozen=True)
class ServerPlan:
    """The addresses, and the embedded servers that have to run for them."""

    endpoints: Endpoints
    programs: tuple[Program, ...]


def plan_servers(
    folder: DataFolder, secrets: Secrets, ports: PortClaims, external: Mapping[str, str]
) -> ServerPlan:
    """Embed every server whose DATABASE_URL, NATS_URL or REDIS_URL is not in `external`."""
    programs: list[Program] = []
    if not (database_url := external.get("DATABASE_URL", "")):
        port = ports.first_free(postgres.PORT_DEFAULT)
        programs.append(postgres.program(folder, port, secrets.postgres_password))
        database_url = postgres.url(port, secrets.postgres_password)
    if not (nats_url := external.get("NATS_URL", "")):
        port = ports.first_free(nats.PORT_DEFAULT)
        monitoring_port = ports.first_free(nats.MONITORING_PORT_DEFAULT)
        programs.append(nats.program(folder, port, monitoring_port, secrets.nats_password))
        nats_url = nats.url(port, secrets.nats_password)
    if not (redis_url := external.get("REDIS_URL", "")):
        port = ports.first_free(valkey.PORT_DEFAULT)
        programs.append(valkey.program(folder, port, secrets.valkey_password))
        redis_url = valkey.url(port, secrets.valkey_password)
    return ServerPlan(Endpoints(database_url, nats_url, redis_url), tuple(programs))


@asynccontextmanager
async def running(plan: ServerPlan, folder: DataFolder) -> AsyncIterator[list[Child]]:
    """Start the planned servers at once and wait until all are ready; stop them in the end."""
    children = [Child(program, folder) for program in plan.programs]
    try:
        for child in children:
            child.launch()
        await asyncio.gather(*(child.ready() for child in children))
        yield children
    finally:
        # PostgreSQL, the first, goes last: it is the truth.
        for child in reversed(children):
            await child.stop()


def end_orphans(folder: DataFolder) -> list[int]:
    """End the processes of an earlier run: services first, then what they stand on."""
    servers = {
        postgres.NAME: Signals.SIGINT,
        nats.NAME: Signals.SIGTERM,
        valkey.NAME: Signals.SIGTERM,
    }
    living = {path.stem: pid for path in folder.run.glob("*.pid") if (pid := read_pid(path))}
    services = [pid for name, pid in living.items() if name not in servers]
    end(services, Signals.SIGTERM, ORPHAN_SERVICE_SECONDS)
    for name, signal in servers.items():
        if name in living:
            end([living[name]], signal, ORPHAN_SERVER_SECONDS)
    for path in folder.run.glob("*.pid"):
        path.unlink()
    return list(living.values())
