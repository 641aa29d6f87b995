"""Lets one process of many lead: the holder of a session-wide advisory lock in Postgres.

The others stand by and take over as soon as the lock is free, which is at once when the leader's
process dies. It is a lock, not a fence: a leader that was cut off learns of it within
`KEEPALIVE_SECONDS` + `ANSWER_SECONDS_MAX`, so what leaders write must itself refuse a former
leader.
"""

import asyncio
import hashlib
import time
from typing import Protocol

import structlog

from infrastructure import metrics
from infrastructure.postgres import UNAVAILABLE, Connection, Role, connect

KEEPALIVE_SECONDS = 5.0
ANSWER_SECONDS_MAX = 3.0

# Postgres notices a leader whose machine vanished after idle + count * interval seconds.
_NOTICE_A_LOST_LEADER = """
    SET tcp_keepalives_idle = 5;
    SET tcp_keepalives_interval = 2;
    SET tcp_keepalives_count = 3;
    SET idle_session_timeout = 0
"""

log = structlog.get_logger(__name__)


def advisory_key(name: str) -> int:
    """The 64-bit lock number of a name; the same in every process and release."""
    digest = hashlib.blake2b(f"magictoolbox:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class Leads(Protocol):
    """The right to be the one that does a duty."""

    @property
    def is_held(self) -> bool:
        """Whether this process led when last checked."""
        ...

    async def hold(self) -> bool:
        """Take it if it is free, keep it if it is ours."""
        ...

    async def release(self) -> None:
        """Give it up."""
        ...


class Leadership:
    """The lead of one named duty, on a connection of its own.

    `role` is the database role to become (None: stay the one that logged in), `key` the duty's
    name.
    """

    def __init__(self, dsn: str, role: Role | None, key: str) -> None:
        self.key = key
        self._dsn = dsn
        self._role = role
        self._connection: Connection | None = None
        self._lost = asyncio.Event()
        self._held = False
        self._checked_at = 0.0

    @property
    def is_held(self) -> bool:
        """Whether this process led when last checked; `hold` checks."""
        return self._held and not self._lost.is_set()

    @property
    def lost(self) -> asyncio.Event:
        """Set when a held lead is gone; long work watches it."""
        return self._lost

    async def hold(self) -> bool:
        """Take the lead if it is free, keep it if it is ours; False means stand by.

        Cheap enough for every run: it asks Postgres only once in KEEPALIVE_SECONDS while leading.
        Raises what connecting raises when Postgres cannot be reached.
        """
        if self._held:
            return await self._keep()
        taken = await self._try(await self._connected())
        self._checked_at = time.monotonic()
        if taken:
            self._lost.clear()
            self._note(True)
        return taken

    async def _try(self, connection: Connection) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return bool(
                    await connection.fetchval(
                        "SELECT pg_try_advisory_lock($1)", advisory_key(self.key)
                    )
                )
        except BaseException:
            # Whether the lock was taken is unknown: a session that ends holds none.
            self._connection = None
            connection.terminate()
            raise

    async def _keep(self) -> bool:
        if self._lost.is_set() or self._connection is None:
            await self._drop()
            return False
        if time.monotonic() - self._checked_at < KEEPALIVE_SECONDS:
            return True
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await self._connection.fetchval("SELECT 1")
        except UNAVAILABLE:
            await self._drop()
            return False
        self._checked_at = time.monotonic()
        return True

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await connect(
                self._dsn,
                self._role,
                timeout_seconds=ANSWER_SECONDS_MAX,
                prepare=_NOTICE_A_LOST_LEADER,
            )
            connection.add_termination_listener(self._terminated)
            self._connection = connection
        return self._connection

    def _terminated(self, connection: object) -> None:
        if connection is self._connection and self._held:
            self._lost.set()
            metrics.LEADER.labels(self.key).set(0)

    async def release(self) -> None:
        """Give the lead up, so that a standby takes over at once."""
        connection, self._connection = self._connection, None
        if self._held:
            self._note(False)
        if connection is not None and not connection.is_closed():
            try:
                # Closing the session frees the lock.
                await connection.close(timeout=ANSWER_SECONDS_MAX)
            except UNAVAILABLE:
                connection.terminate()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._note(False)
        self._lost.set()
        if connection is not None:
            # Not close(): a server that does not answer would hold us up.
            connection.terminate()

    def _note(self, held: bool) -> None:
        self._held = held
        metrics.LEADER.labels(self.key).set(held)
        metrics.LEADERSHIP_CHANGES.labels(self.key, "taken" if held else "lost").inc()
        log.info("leadership_taken" if held else "leadership_lost", key=self.key)
