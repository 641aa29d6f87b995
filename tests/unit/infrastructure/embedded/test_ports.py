"""Ports are found free, and the same port is not found twice."""

import contextlib
import random
import socket
from collections.abc import Iterator

import pytest

from infrastructure.embedded.errors import NoFreePort, PortBusy
from infrastructure.embedded.ports import LOOPBACK, PortClaims

PORTS = range(20_000, 30_000)


@pytest.fixture
def claims() -> Iterator[PortClaims]:
    with PortClaims() as claims:
        yield claims


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A taken port, below those that the system hands out to connections all the time."""
    with socket.socket() as taken:
        for port in random.sample(PORTS, len(PORTS)):
            with contextlib.suppress(OSError):
                taken.bind((LOOPBACK, port))
                break
        taken.listen()
        yield taken.getsockname()[1]


def test_a_busy_default_gives_a_later_port(claims: PortClaims, busy_port: int) -> None:
    found = claims.first_free(busy_port)

    assert found > busy_port


def test_a_busy_port_that_was_asked_for_is_refused_by_its_name(
    claims: PortClaims, busy_port: int
) -> None:
    with pytest.raises(PortBusy, match=f"port {busy_port} .* query API"):
        claims.exactly(busy_port, "query API")


def test_two_that_start_at_once_choose_different_ports(claims: PortClaims, busy_port: int) -> None:
    other = PortClaims()
    mine = claims.first_free(busy_port)

    theirs = other.first_free(busy_port)
    other.release()

    assert theirs != mine
    assert claims.first_free(busy_port) not in (busy_port, mine)


def test_a_claimed_port_is_free_again_once_released(claims: PortClaims, busy_port: int) -> None:
    other = PortClaims()
    port = other.first_free(busy_port)
    with pytest.raises(PortBusy):
        claims.exactly(port, "command API")

    other.release()

    assert claims.exactly(port, "command API") == port


def test_the_search_ends_at_the_last_port(claims: PortClaims) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Somebody else may hold it, which is as good.
        with contextlib.suppress(OSError):
            taken.bind((LOOPBACK, 65535))
            taken.listen()

        with pytest.raises(NoFreePort):
            claims.first_free(65535)
