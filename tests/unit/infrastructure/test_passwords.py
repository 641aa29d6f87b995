"""Passwords: argon2id, off the loop, with equal work for users that do not exist."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator

import pytest
from passlib.hash import argon2

from infrastructure.passwords import (
    HASHES_WAITING_MAX,
    PasswordRefused,
    Passwords,
    TooManyHashes,
)


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords(time_cost=1, memory_kib=1_024)
    yield made
    made.close()


async def test_the_right_password_is_recognised(passwords: Passwords) -> None:
    kept = await passwords.hash("correct horse")

    assert kept.startswith("$argon2id$")
    assert await passwords.verify_and_update("correct horse", kept) == (True, None)
    assert await passwords.verify_and_update("Correct horse", kept) == (False, None)


async def test_two_hashes_of_one_password_differ(passwords: Passwords) -> None:
    assert await passwords.hash("correct horse") != await passwords.hash("correct horse")


async def test_an_outdated_hash_is_renewed(passwords: Passwords) -> None:
    old = argon2.using(type="ID", rounds=1, memory_cost=512, parallelism=1).hash("correct horse")

    matches, renewed = await passwords.verify_and_update("correct horse", old)

    assert matches
    assert renewed is not None
    assert await passwords.verify_and_update("correct horse", renewed) == (True, None)


async def test_a_user_that_does_not_exist_has_no_password(passwords: Passwords) -> None:
    assert await passwords.verify_and_update("nobody has this password", None) == (False, None)


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1_025])
async def test_passwords_that_are_too_short_or_too_long_are_refused(
    passwords: Passwords, password: str
) -> None:
    with pytest.raises(PasswordRefused):
        await passwords.hash(password)


@pytest.mark.parametrize("password", ["12345678", "x" * 1_024, "pässwörd\x00\n"])
async def test_every_other_password_works(passwords: Passwords, password: str) -> None:
    kept = await passwords.hash(password)

    assert await passwords.verify_and_update(password, kept) == (True, None)
    assert await passwords.verify_and_update(password + "x", kept) == (False, None)


async def test_unknown_users_cost_the_same_work() -> None:
    passwords = Passwords()
    kept = await passwords.hash("correct horse")
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(15):
        for is_known in (True, False):
            began = time.perf_counter()
            await passwords.verify_and_update("wrong password", kept if is_known else None)
            seconds[is_known].append(time.perf_counter() - began)
    passwords.close()

    known, unknown = statistics.median(seconds[True]), statistics.median(seconds[False])
    assert 0.5 < known / unknown < 2.0


async def test_the_loop_goes_on_while_passwords_are_hashed() -> None:
    passwords = Passwords(time_cost=8)
    hashing = asyncio.gather(*(passwords.hash("correct horse") for _ in range(3)))
    turns = 0
    while not hashing.done():
        turns += 1
        await asyncio.sleep(0)
    passwords.close()

    assert turns > 50


async def test_too_many_at_once_are_turned_away(passwords: Passwords) -> None:
    tries = [passwords.hash("correct horse") for _ in range(HASHES_WAITING_MAX + 10)]

    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert sum(isinstance(o, TooManyHashes) for o in outcomes) == 10
    assert sum(isinstance(o, str) for o in outcomes) == HASHES_WAITING_MAX
