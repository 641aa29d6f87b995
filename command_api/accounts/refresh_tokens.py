"""Refresh tokens: random, kept as hashes, good for one use each.

Each use hands out the next token of the family that began with the login. A token that comes a
second time was copied by somebody: its whole family ends, whoever holds the newest. A family does
not outlive the login's first expiry, however often it is rotated.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Delete, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from command_api.accounts import tables
from command_api.accounts.reach import transaction
from infrastructure.clock import Clock
from infrastructure.ids import uuid7

TOKEN_BYTES: Final = 32
TOKEN_CHARACTERS_MAX: Final = 256
FAMILIES_OF_USER_MAX: Final = 20
"""Logins that one user can keep alive at a time; the oldest end first."""
EXPIRED_IN_SWEEP_MAX: Final = 5_000

_tokens = tables.refresh_tokens


@dataclass(frozen=True, slots=True)
class Rotated:
    """A token was used and replaced."""

    user_id: UUID
    token: str


class RefreshTokens:
    """The refresh tokens in PostgreSQL."""

    def __init__(self, engine: AsyncEngine, clock: Clock, days: int) -> None:
        self._engine = engine
        self._clock = clock
        self._lifetime = timedelta(days=days)

    async def begin(self, user_id: UUID) -> str:
        """The first token of a new family; ends the user's oldest families beyond the limit."""
        now = self._clock.now()
        async with transaction(self._engine) as connection:
            token = await _insert(connection, uuid7(), user_id, now, now + self._lifetime)
            await connection.execute(_delete_oldest_families(user_id))
        return token

    async def rotate(self, token: str) -> Rotated | None:
        """Use a token up and hand out its successor; None if it is not good.

        A token that was used before ends its family.
        """
        now = self._clock.now()
        digest = _digest(token)
        async with transaction(self._engine) as connection:
            # One statement decides: of two uses at the same moment only one finds it unused.
            use = (
                update(_tokens)
                .where(_tokens.c.token_hash == digest)
                .where(_tokens.c.used_at.is_(None), _tokens.c.expires_at > now)
                .values(used_at=now)
                .returning(_tokens.c.family, _tokens.c.user_id, _tokens.c.expires_at)
            )
            used = (await connection.execute(use)).one_or_none()
            if used is None:
                await connection.execute(_delete_family_of(digest))
                return None
            successor = await _insert(connection, used.family, used.user_id, now, used.expires_at)
            return Rotated(used.user_id, successor)

    async def revoke(self, token: str) -> None:
        """End the family of a token, if there is one."""
        async with transaction(self._engine) as connection:
            await connection.execute(_delete_family_of(_digest(token)))

    async def sweep(self) -> int:
        """Delete tokens that have expired; returns how many."""
        expired = (
            select(_tokens.c.token_hash)
            .where(_tokens.c.expires_at <= self._clock.now())
            .limit(EXPIRED_IN_SWEEP_MAX)
        )
        async with transaction(self._engine) as connection:
            result = await connection.execute(
                delete(_tokens).where(_tokens.c.token_hash.in_(expired))
            )
        return int(result.rowcount)


async def _insert(
    connection: AsyncConnection, family: UUID, user_id: UUID, now: datetime, until: datetime
) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await connection.execute(
        insert(_tokens).values(
            token_hash=_digest(token),
            family=family,
            user_id=user_id,
            issued_at=now,
            expires_at=until,
        )
    )
    return token


def _digest(token: str) -> bytes:
    # A fast hash is enough: the token has 256 random bits, there is nothing to guess.
    return hashlib.sha256(token[:TOKEN_CHARACTERS_MAX].encode()).digest()


def _delete_family_of(digest: bytes) -> Delete:
    family = select(_tokens.c.family).where(_tokens.c.token_hash == digest)
    return delete(_tokens).where(_tokens.c.family.in_(family))


def _delete_oldest_families(user_id: UUID) -> Delete:
    kept = (
        select(_tokens.c.family)
        .where(_tokens.c.user_id == user_id)
        .group_by(_tokens.c.family)
        .order_by(func.max(_tokens.c.issued_at).desc(), _tokens.c.family.desc())
        .limit(FAMILIES_OF_USER_MAX)
    )
    return delete(_tokens).where(_tokens.c.user_id == user_id, _tokens.c.family.not_in(kept))
