"""Hashes passwords with argon2id and verifies them, off the event loop and a few at a time.

Verifying costs the same work whether the user exists or not, so that time tells nothing. Each hash
takes tens of MiB and a core for tens of milliseconds: `HASHES_AT_ONCE_MAX` bounds both.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from passlib.context import CryptContext

from infrastructure import metrics

PASSWORD_CHARACTERS_MIN = 8
PASSWORD_CHARACTERS_MAX = 1_024
HASHES_AT_ONCE_MAX = 2
HASHES_WAITING_MAX = 64

Result = TypeVar("Result")


class PasswordRefused(ValueError):
    """A password has 8 to 1024 characters."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class TooManyHashes(Exception):
    """Too many passwords are being checked at once; try again shortly."""


class Passwords:
    """Hashes and verifies; `close` ends its threads."""

    def __init__(self, *, time_cost: int = 2, memory_kib: int = 19_456) -> None:
        # 19 MiB, two passes, one lane: the OWASP recommendation for argon2id.
        self._context = CryptContext(
            schemes=["argon2"],
            argon2__type="ID",
            argon2__time_cost=time_cost,
            argon2__memory_cost=memory_kib,
            argon2__parallelism=1,
        )
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE_MAX, thread_name_prefix="passwords")
        self._waiting = 0
        self._decoy = self._context.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The hash to keep; raises PasswordRefused for one too short or too long."""
        if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
            raise PasswordRefused
        return await self._in_thread(lambda: str(self._context.hash(password)))

    async def verify_and_update(
        self, password: str, known_hash: str | None
    ) -> tuple[bool, str | None]:
        """Whether the password is right, and a new hash to keep when the old one is outdated.

        `known_hash` is None for a user that does not exist, which costs the same.
        """
        if len(password) > PASSWORD_CHARACTERS_MAX:
            # Nobody can have it; but answering at once would tell nothing about the user either.
            return False, None
        against = known_hash if known_hash is not None else self._decoy
        matches, renewed = await self._in_thread(lambda: self._verify(password, against))
        if known_hash is None:
            return False, None
        return matches, renewed

    def close(self) -> None:
        """Let running hashes finish and end the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _verify(self, password: str, known_hash: str) -> tuple[bool, str | None]:
        matches, renewed = self._context.verify_and_update(password, known_hash)
        return bool(matches), renewed

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= HASHES_WAITING_MAX:
            raise TooManyHashes(TooManyHashes.__doc__)
        began = time.perf_counter()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
            metrics.PASSWORD_SECONDS.observe(time.perf_counter() - began)
