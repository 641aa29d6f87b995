"""Which processes a platform consists of, on which ports, and what each finds in its environment.

What the environment (or `.env`) already says wins over what is made up here, so an external server
or a key of one's own needs no option.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from infrastructure.cli.services import SERVICES
from infrastructure.embedded.data_folder import DataFolder
from infrastructure.embedded.loopback import says_ok
from infrastructure.embedded.ports import LOOPBACK, PortClaims
from infrastructure.embedded.program import Program
from infrastructure.embedded.secrets_file import Secrets, load_or_draw
from infrastructure.embedded.servers import ServerPlan, plan_servers
from infrastructure.settings import Fragment

COMMAND_PORT_DEFAULT = 8000
QUERY_PORT_DEFAULT = 8001
HEALTH_PORT_DEFAULT = 18300
WORKERS_MAX = 64
# A service drains for up to 25 s; a little more before it is killed.
DRAIN_SECONDS = 28.0
START_SECONDS = 60.0
MIGRATE_SECONDS = 300.0
# -P: what lies in the working directory is no code of ours.
PYTHON = (sys.executable, "-P", "-m")


@dataclass(frozen=True)
class Wishes:
    """What the person who starts the platform asked for; None leaves the choice to us."""

    command_port: int | None = None
    query_port: int | None = None
    workers: int = 1


class Given(Fragment):
    """What the environment already says about the platform."""

    database_url: str | None = None
    read_database_url: str | None = None
    nats_url: str | None = None
    redis_url: str | None = None
    blob_url: str | None = None
    work_folder: str | None = None
    secret_key: str | None = None
    sealing_key: str | None = None
    command_public_url: str | None = None
    query_public_url: str | None = None
    admin_username: str | None = None
    admin_password: str | None = None

    def variables(self) -> dict[str, str]:
        """By the names of the environment."""
        return {name.upper(): value for name, value in self.model_dump(exclude_none=True).items()}


@dataclass(frozen=True)
class PlatformPlan:
    """Everything that has to run, and where it will be found."""

    servers: ServerPlan
    migration: Program
    services: tuple[Program, ...]
    command_port: int
    query_port: int
    environment: Mapping[str, str]

    @property
    def command_url(self) -> str:
        """Where the command API is reached."""
        return self.environment["COMMAND_PUBLIC_URL"]

    @property
    def query_url(self) -> str:
        """Where the query API is reached."""
        return self.environment["QUERY_PUBLIC_URL"]


def plan_platform(folder: DataFolder, wishes: Wishes, ports: PortClaims) -> PlatformPlan:
    """Choose ports and write down every process."""
    command_port = _port(ports, wishes.command_port, COMMAND_PORT_DEFAULT, "command API")
    query_port = _port(ports, wishes.query_port, QUERY_PORT_DEFAULT, "query API")
    given = Given().variables()
    secrets = load_or_draw(folder.path / "secrets.json")
    servers = plan_servers(folder, secrets, ports, given)
    environment = {
        **os.environ,
        **_made_up(folder, secrets, servers, command_port, query_port),
        **given,
    }
    names = {name: _service_of(name) for name in _process_names(wishes.workers)}
    own_ports = {"command-api": command_port, "query-api": query_port}
    return PlatformPlan(
        servers=servers,
        migration=_migration(environment),
        services=tuple(
            _service(name, service, environment, own_ports.get(name), ports)
            for name, service in names.items()
        ),
        command_port=command_port,
        query_port=query_port,
        environment=environment,
    )


def _port(ports: PortClaims, asked: int | None, default: int, purpose: str) -> int:
    return ports.first_free(default) if asked is None else ports.exactly(asked, purpose)


def _made_up(
    folder: DataFolder, secrets: Secrets, servers: ServerPlan, command_port: int, query_port: int
) -> dict[str, str]:
    return {
        "DATABASE_URL": servers.endpoints.database_url,
        "NATS_URL": servers.endpoints.nats_url,
        "REDIS_URL": servers.endpoints.redis_url,
        "BLOB_URL": folder.blobs.as_uri(),
        "WORK_FOLDER": str(folder.work),
        "SECRET_KEY": secrets.secret_key,
        "SEALING_KEY": secrets.sealing_key,
        "COMMAND_PUBLIC_URL": f"http://{LOOPBACK}:{command_port}",
        "QUERY_PUBLIC_URL": f"http://{LOOPBACK}:{query_port}",
        "ADMIN_USERNAME": "admin",
        "ADMIN_PASSWORD": secrets.admin_password,
    }


def _process_names(workers: int) -> list[str]:
    """The names that logs and process id files carry; workers are numbered."""
    single = [name for name in SERVICES if name != "worker"]
    return [*single, *(f"worker-{number}" for number in range(1, workers + 1))]


def _service_of(process_name: str) -> str:
    return "worker" if process_name.startswith("worker-") else process_name


def _service(
    name: str, service: str, environment: Mapping[str, str], port: int | None, ports: PortClaims
) -> Program:
    health_port = ports.first_free(HEALTH_PORT_DEFAULT)
    own = {"HEALTH_HOST": LOOPBACK, "HEALTH_PORT": str(health_port), "HOST": LOOPBACK}
    if port is not None:
        own["PORT"] = str(port)
    asked = health_port if port is None else port
    return Program(
        name=name,
        argv=(*PYTHON, "infrastructure.cli.services", service),
        environment={**environment, **own},
        is_ready=lambda: says_ok(asked, "/ready"),
        stop_seconds=DRAIN_SECONDS,
        start_seconds=START_SECONDS,
    )


def _migration(environment: Mapping[str, str]) -> Program:
    return Program(
        name="migrate",
        argv=(*PYTHON, "infrastructure.cli.main", "db", "migrate"),
        environment=environment,
        is_ready=lambda: True,
        start_seconds=MIGRATE_SECONDS,
    )
