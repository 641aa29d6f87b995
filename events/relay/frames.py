"""Turns rows of the log into the bytes that publish them, many rows in one piece.

This is NATS's own `HPUB` form, written directly because the client's way of building headers was
most of the relay's work (measured: 12 µs an event, against 2 µs here). Each event names the one
before it as the stream's expected last, so the server stores all of a piece in order or a prefix of
it. Only the last asks for an answer: if that is stored at its position, so are all before it.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from events.contracts.subjects import (
    HEADER_AGGREGATE,
    HEADER_POSITION,
    HEADER_RECORDED_AT,
    HEADER_TENANT,
    HEADER_TOPIC,
    HEADER_VERSION,
    event_subject,
)

EXPECTED_LAST: Final = "Nats-Expected-Last-Sequence"
HEADERS_BYTES_MAX: Final = 1_024
"""More than the headers of one event ever take."""
KINDS_KEPT_MAX: Final = 10_000

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")


class Row(Protocol):
    """A row of the log as asyncpg returns it: a value object would cost more than the frame."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""


class Framer:
    """Builds the frames of one publishing session, which answers to one inbox."""

    def __init__(self, inbox: str) -> None:
        self._inbox = inbox
        self._kinds: dict[tuple[str, str], tuple[str, str]] = {}
        self._recorded_at: tuple[datetime | None, str] = (None, "")

    def frames(self, rows: Sequence[Row]) -> bytes:
        """The frames of consecutive rows; the last one is to be answered.

        The answer goes to `<inbox>.<position of the last row>`.
        """
        last = rows[-1]["notification_id"]
        parts: list[bytes] = []
        for row in rows[:-1]:
            self._add(parts, row, "")
        self._add(parts, rows[-1], f"{self._inbox}.{last} ")
        return b"".join(parts)

    def _add(self, parts: list[bytes], row: Row, reply: str) -> None:
        position = row["notification_id"]
        state = row["state"]
        command, constant = self._kind(row["tenant"], row["topic"])
        headers = (
            f"NATS/1.0\r\n{EXPECTED_LAST}: {position - 1}\r\n{HEADER_POSITION}: {position}\r\n"
            f"{HEADER_AGGREGATE}: {row['originator_id']}\r\n"
            f"{HEADER_VERSION}: {row['originator_version']}\r\n"
            f"{HEADER_RECORDED_AT}: {self._time(row['recorded_at'])}{constant}"
        )
        # All of it is ASCII, so characters count as bytes.
        sizes = f"{len(headers)} {len(headers) + len(state)}"
        parts.append(f"{command}{reply}{sizes}\r\n{headers}".encode("ascii"))
        parts.append(state)
        parts.append(b"\r\n")

    def _kind(self, tenant: str, topic: str) -> tuple[str, str]:
        """What is the same for all events of one tenant and topic: how the frame begins, ends."""
        known = self._kinds.get((tenant, topic))
        if known is None:
            if len(self._kinds) >= KINDS_KEPT_MAX:
                self._kinds.clear()
            known = self._kinds[tenant, topic] = _kind(tenant, topic)
        return known

    def _time(self, recorded_at: datetime) -> str:
        # Events of one group commit share their time.
        if recorded_at is not self._recorded_at[0] and recorded_at != self._recorded_at[0]:
            self._recorded_at = (recorded_at, recorded_at.isoformat())
        return self._recorded_at[1]


def _kind(tenant: str, topic: str) -> tuple[str, str]:
    # Neither may hold anything else; but one that does must not stop the relay for all tenants,
    # and least of all end a line of the protocol.
    tenant, topic = _UNSAFE.sub("_", tenant).replace(".", "_"), _UNSAFE.sub("_", topic)
    command = f"HPUB {event_subject(tenant, topic)} "
    return command, f"\r\n{HEADER_TOPIC}: {topic}\r\n{HEADER_TENANT}: {tenant}\r\n\r\n"
