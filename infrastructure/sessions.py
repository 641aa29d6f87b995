"""Asks whether the session behind a token still stands: the user is there, enabled, unchanged.

Disabling a user, or changing the role or password, ends all sessions within `FRESH_SECONDS`: for
so long an answer is remembered. Questions of the same moment share one round trip. The answers come
from the view `accounts.sessions`, which holds neither names nor passwords.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from infrastructure.batching import Batcher, Overloaded
from infrastructure.postgres import UNAVAILABLE, Pool
from infrastructure.principals import Principal

FRESH_SECONDS: Final = 3.0
USERS_REMEMBERED_MAX: Final = 10_000
USERS_IN_BATCH_MAX: Final = 500
USERS_WAITING_MAX: Final = 10_000

ENDED: Final = 0
"""The version of a user who may not come in; real versions begin at 1."""

_SELECT: Final = """
SELECT user_id, session_version FROM accounts.sessions WHERE user_id = ANY($1::uuid[])
"""
_CANNOT_ASK: tuple[type[BaseException], ...] = (*UNAVAILABLE, Overloaded)


class SessionEnded(Exception):
    """The session behind this token has ended."""


class SessionsUnavailable(Exception):
    """Whether the session still stands cannot be found out at the moment."""


class Sessions:
    """Remembers for a short time whose sessions stand."""

    def __init__(
        self,
        pool: Pool,
        *,
        fresh_seconds: float = FRESH_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._fresh_seconds = fresh_seconds
        self._now = now
        self._known: OrderedDict[UUID, tuple[int, float]] = OrderedDict()
        self._questions: Batcher[UUID, int] = Batcher(
            self._ask, batch_max=USERS_IN_BATCH_MAX, waiting_max=USERS_WAITING_MAX
        )

    async def check(self, principal: Principal) -> None:
        """Raise SessionEnded if the token is of an earlier session, SessionsUnavailable."""
        known = self._known.get(principal.user_id)
        if known is not None and self._now() < known[1]:
            version = known[0]
        else:
            version = await self._version(principal.user_id)
        if version != principal.session_version:
            raise SessionEnded(SessionEnded.__doc__)

    async def close(self) -> None:
        """Let questions under way finish."""
        await self._questions.close()

    async def _version(self, user_id: UUID) -> int:
        asked_at = self._now()
        try:
            version = await self._questions.submit(user_id)
        except _CANNOT_ASK as error:
            raise SessionsUnavailable(SessionsUnavailable.__doc__) from error
        self._remember(user_id, version, asked_at + self._fresh_seconds)
        return version

    def _remember(self, user_id: UUID, version: int, until: float) -> None:
        self._known[user_id] = (version, until)
        self._known.move_to_end(user_id)
        if len(self._known) > USERS_REMEMBERED_MAX:
            self._known.popitem(last=False)

    async def _ask(self, user_ids: Sequence[UUID]) -> Sequence[int]:
        rows = await self._pool.fetch(_SELECT, list(set(user_ids)))
        versions = {row["user_id"]: int(row["session_version"]) for row in rows}
        return [versions.get(user_id, ENDED) for user_id in user_ids]
