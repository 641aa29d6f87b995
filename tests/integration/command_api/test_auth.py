"""`/auth`: passwords and refresh tokens become access tokens, and stop to."""

import asyncio
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

import httpx
import pytest

from command_api.accounts.refresh_tokens import FAMILIES_OF_USER_MAX
from infrastructure.http.rate_limit import LOGINS_PER_MINUTE_ACCOUNT
from infrastructure.sessions import FRESH_SECONDS
from tests.fixtures.command_api import PASSWORD, CommandApi, becomes

Headers = dict[str, str]


async def logged_in(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    """A fresh pair of tokens."""
    answer = await client.post("/auth/token", data={"username": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def bearer(tokens: Mapping[str, Any]) -> Headers:
    """The header of a request with these tokens."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_a_password_gives_tokens_that_work(
    api: CommandApi, client: httpx.AsyncClient
) -> None:
    tokens = await logged_in(client, "Alice")

    me = await client.get("/users/me", headers=bearer(tokens))

    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert tokens["token_type"] == "bearer"
    assert tokens["expires_in"] == 30 * 60
    assert me.json()["user_id"] == str(api.users["alice"].id)
    assert me.json()["tenant"] == "acme"


async def test_the_first_administrator_is_made_once_and_may_log_in(
    api: CommandApi, client: httpx.AsyncClient
) -> None:
    async def made() -> bool:
        return await api.app.state.resources.users.find("root") is not None

    await becomes(made)

    me = await client.get("/users/me", headers=bearer(await logged_in(client, "root")))

    assert (me.json()["role"], me.json()["tenant"]) == ("admin", "default")


@pytest.mark.parametrize(
    ("username", "password"),
    [("bob", "wrong password"), ("nobody", PASSWORD), ("\N{BELL}", PASSWORD), ("bob", "x" * 2_000)],
    ids=["wrong password", "unknown user", "impossible name", "endless password"],
)
async def test_all_bad_credentials_get_the_same_answer(
    client: httpx.AsyncClient, username: str, password: str
) -> None:
    answer = await client.post("/auth/token", data={"username": username, "password": password})

    assert answer.status_code == 401
    problem = answer.json()
    assert problem["code"] == "BAD_CREDENTIALS"
    assert problem["message"] == "The user name or the password is wrong."
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_an_unknown_user_costs_the_same_work_as_a_wrong_password(
    api: CommandApi, client: httpx.AsyncClient
) -> None:
    logins = api.app.state.resources.logins

    async def seconds(name: str) -> float:
        began = time.perf_counter()
        assert await logins._authenticated(name, "wrong password") is None
        return time.perf_counter() - began

    known, unknown = [], []
    for _ in range(7):
        known.append(await seconds("bob"))
        unknown.append(await seconds("nobody"))

    # One hash is some tens of milliseconds; without it the ratio would be beyond ten.
    assert 1 / 3 < median(known) / median(unknown) < 3


@pytest.mark.parametrize("form", [{}, {"username": "bob"}, {"grant_type": "code", "username": "b"}])
async def test_an_incomplete_login_names_the_missing_field_and_no_password(
    client: httpx.AsyncClient, form: dict[str, str]
) -> None:
    answer = await client.post("/auth/token", data=form)

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")


async def test_too_many_logins_at_one_account_are_limited(client: httpx.AsyncClient) -> None:
    form = {"username": "guessed", "password": "wrong password"}

    answers = [
        await client.post("/auth/token", data=form) for _ in range(LOGINS_PER_MINUTE_ACCOUNT + 1)
    ]

    assert [answer.status_code for answer in answers[:-1]] == [401] * LOGINS_PER_MINUTE_ACCOUNT
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "RATE_LIMITED")
    assert int(answers[-1].headers["Retry-After"]) >= 1


@pytest.mark.parametrize("how", ["data", "json"])
async def test_a_refresh_token_is_good_for_one_use(client: httpx.AsyncClient, how: str) -> None:
    first = await logged_in(client, "gina")

    body: dict[str, Any] = {how: {"refresh_token": first["refresh_token"]}}
    answer = await client.post("/auth/refresh", **body)

    assert answer.status_code == 200, answer.text
    second = answer.json()
    assert second["refresh_token"] != first["refresh_token"]
    me = await client.get("/users/me", headers=bearer(second))
    assert me.status_code == 200


async def test_a_refresh_token_that_comes_twice_ends_its_whole_family(
    client: httpx.AsyncClient,
) -> None:
    first = await logged_in(client, "gina")
    other = await logged_in(client, "gina")
    body = {"refresh_token": first["refresh_token"]}
    second = (await client.post("/auth/refresh", json=body)).json()

    again = await client.post("/auth/refresh", json=body)
    newest = await client.post("/auth/refresh", json={"refresh_token": second["refresh_token"]})
    unrelated = await client.post("/auth/refresh", json={"refresh_token": other["refresh_token"]})

    assert (again.status_code, again.json()["code"]) == (401, "REFRESH_TOKEN_INVALID")
    assert (newest.status_code, newest.json()["code"]) == (401, "REFRESH_TOKEN_INVALID")
    assert unrelated.status_code == 200


async def test_of_two_uses_at_the_same_moment_one_wins(client: httpx.AsyncClient) -> None:
    body = {"refresh_token": (await logged_in(client, "gus"))["refresh_token"]}

    answers = await asyncio.gather(*(client.post("/auth/refresh", json=body) for _ in range(2)))

    assert sorted(answer.status_code for answer in answers) == [200, 401]


async def test_a_revoked_login_cannot_be_refreshed(client: httpx.AsyncClient) -> None:
    body = {"refresh_token": (await logged_in(client, "olga"))["refresh_token"]}

    revoked = await client.post("/auth/revoke", data={"token": body["refresh_token"]})
    unknown = await client.post("/auth/revoke", json={"refresh_token": "never was"})
    refreshed = await client.post("/auth/refresh", json=body)

    assert (revoked.status_code, unknown.status_code) == (200, 200)
    assert refreshed.status_code == 401


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/revoke"])
@pytest.mark.parametrize("content", [b"", b"[]", b'{"refresh_token": 5}', b"\xff"])
async def test_a_body_without_a_refresh_token_is_refused(
    client: httpx.AsyncClient, path: str, content: bytes
) -> None:
    answer = await client.post(path, content=content)

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")


async def test_only_the_newest_logins_of_a_user_stay(
    api: CommandApi,
) -> None:
    tokens = api.app.state.resources.logins._refresh_tokens
    user = api.users["otto"]

    families = [await tokens.begin(user.id) for _ in range(FAMILIES_OF_USER_MAX + 2)]
    rotated = [await tokens.rotate(token) for token in families]

    assert [each is None for each in rotated] == [True, True] + [False] * FAMILIES_OF_USER_MAX


async def test_a_disabled_users_tokens_stop_to_count_within_seconds(
    api: CommandApi, client: httpx.AsyncClient
) -> None:
    tokens = await logged_in(client, "bob")
    assert (await client.get("/users/me", headers=bearer(tokens))).status_code == 200

    disabled = await client.patch(
        f"/users/{api.users['bob'].id}", json={"disabled": True}, headers=api.headers("ada")
    )

    async def refused() -> bool:
        return (await client.get("/users/me", headers=bearer(tokens))).status_code == 401

    assert disabled.status_code == 200, disabled.text
    await becomes(refused, FRESH_SECONDS + 2.0)
    refreshed = await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    login = await client.post("/auth/token", data={"username": "bob", "password": PASSWORD})
    assert (refreshed.status_code, login.status_code) == (401, 401)
    assert login.json()["code"] == "BAD_CREDENTIALS"
