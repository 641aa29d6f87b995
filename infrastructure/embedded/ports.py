"""Free TCP ports on loopback, claimed so that platforms that start at once choose others.

A claim is a socket in Linux's abstract name space: it is seen by every user of the machine and ends
with its process. It does not keep a stranger from taking the port before the server does.
"""

import contextlib
import errno
import socket
from types import TracebackType
from typing import Self

from infrastructure.embedded.errors import NoFreePort, PortBusy

LOOPBACK = "127.0.0.1"
PORTS_TRIED_MAX = 500


class PortClaims:
    """The ports one process has chosen; a context manager that gives them back."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def first_free(self, default: int) -> int:
        """The default port, or the next one that is free."""
        for port in range(default, min(default + PORTS_TRIED_MAX, 65536)):
            if self._claim(port):
                return port
        raise NoFreePort(default, PORTS_TRIED_MAX)

    def exactly(self, port: int, purpose: str) -> int:
        """The port that was asked for, or a clear refusal."""
        if not self._claim(port):
            raise PortBusy(port, purpose)
        return port

    def release(self) -> None:
        """Let others have the ports."""
        while self._claims:
            self._claims.pop().close()

    def _claim(self, port: int) -> bool:
        claim = _claim_name(port)
        if claim is None:
            return False
        if not _can_listen(port):
            claim.close()
            return False
        self._claims.append(claim)
        return True


def _claim_name(port: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0magictoolbox-port-{port}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            claim.close()
            return None
        # No abstract names outside Linux: the probe alone has to do.
    return claim


def _can_listen(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        # As the servers do: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True
