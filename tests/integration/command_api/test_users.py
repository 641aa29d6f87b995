"""`/users`: a tenant's administrator manages the tenant's users, and nobody else's."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.fixtures.command_api import PASSWORD, PREFIX, CommandApi

Headers = dict[str, str]


@pytest.fixture
def admin(api: CommandApi) -> Headers:
    """The headers of Ada, who manages acme."""
    return api.headers("ada")


async def made(client: httpx.AsyncClient, admin: Headers, name: str, **body: Any) -> Any:
    """A new user."""
    body = {"username": name, "password": PASSWORD, **body}
    answer = await client.post("/users", json=body, headers=admin)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_new_user_belongs_to_the_administrators_tenant_and_may_log_in(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    user = await made(client, admin, "New.User@Example.org", role="operator")

    login = {"username": "new.user@example.org", "password": PASSWORD}
    answer = await client.post("/auth/token", data=login)

    assert (user["tenant"], user["role"], user["disabled"]) == ("acme", "operator", False)
    assert user["username"] == "new.user@example.org"
    assert "password" not in str(user)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"username": "Alice", "password": PASSWORD}, 409, "USERNAME_TAKEN"),
        ({"username": "gina", "password": PASSWORD}, 409, "USERNAME_TAKEN"),
        ({"username": "weak", "password": "short"}, 422, "PASSWORD_WEAK"),
        ({"username": "weaknamed", "password": "WeakNamed"}, 422, "PASSWORD_WEAK"),
        ({"username": "weak", "password": "x" * 1_025}, 422, "PASSWORD_WEAK"),
        ({"username": "sp ace", "password": PASSWORD}, 422, "VALIDATION_ERROR"),
        ({"username": "х" * 5, "password": PASSWORD}, 422, "VALIDATION_ERROR"),
        ({"username": "king", "password": PASSWORD, "role": "king"}, 422, "VALIDATION_ERROR"),
        ({"username": "t", "password": PASSWORD, "tenant": "globex"}, 422, "VALIDATION_ERROR"),
        ({"password": PASSWORD}, 422, "VALIDATION_ERROR"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_user_that_cannot_be_is_refused_without_an_echo_of_the_password(
    client: httpx.AsyncClient, admin: Headers, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await client.post("/users", json=body, headers=admin)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert body["password"] not in answer.text


async def test_users_are_listed_by_name_in_pages(client: httpx.AsyncClient, admin: Headers) -> None:
    everybody = (await client.get("/users", params={"limit": 200}, headers=admin)).json()["items"]
    names: list[str] = []
    cursor: str | None = None
    for _ in range(len(everybody)):
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/users", params=params, headers=admin)).json()
        names += [user["username"] for user in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert names == sorted(user["username"] for user in everybody)
    assert {"alice", "ada", "otto"} <= set(names)
    assert "gina" not in names


async def test_a_page_beyond_the_limit_is_refused(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    answer = await client.get("/users", params={"limit": 201}, headers=admin)

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")


async def test_one_user_is_found_in_the_tenant_only(
    api: CommandApi, client: httpx.AsyncClient, admin: Headers
) -> None:
    own = await client.get(f"/users/{api.users['alice'].id}", headers=admin)
    strange = await client.get(f"/users/{api.users['gina'].id}", headers=admin)
    absent = await client.get(f"/users/{uuid4()}", headers=admin)

    assert own.json()["username"] == "alice"
    assert (strange.status_code, strange.json()["code"]) == (404, "USER_NOT_FOUND")
    assert {**strange.json(), "request_id": ""} == {**absent.json(), "request_id": ""}


async def test_everybody_may_see_the_own_account(
    api: CommandApi, client: httpx.AsyncClient
) -> None:
    for name in ("alice", "olga", "otto"):
        answer = await client.get("/users/me", headers=api.headers(name))
        assert answer.json()["username"] == name


async def test_nobody_without_a_token_has_an_account_to_see(client: httpx.AsyncClient) -> None:
    answer = await client.get("/users/me")

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_another_password_counts_at_once_and_the_old_one_does_not(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    user = await made(client, admin, "forgetful")

    changed = await client.patch(
        f"/users/{user['user_id']}", json={"password": "a new password"}, headers=admin
    )

    assert changed.status_code == 200, changed.text
    old = {"username": "forgetful", "password": PASSWORD}
    new = {"username": "forgetful", "password": "a new password"}
    assert (await client.post("/auth/token", data=old)).status_code == 401
    assert (await client.post("/auth/token", data=new)).status_code == 200


async def test_another_role_is_in_the_next_token(client: httpx.AsyncClient, admin: Headers) -> None:
    user = await made(client, admin, "promoted")

    changed = await client.patch(
        f"/users/{user['user_id']}", json={"role": "auditor"}, headers=admin
    )

    assert changed.json()["role"] == "auditor"
    login = {"username": "promoted", "password": PASSWORD}
    token = (await client.post("/auth/token", data=login)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    refused = await client.post("/jobs", json={"tool": "no-op"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")


async def test_an_administrator_cannot_lock_himself_out(
    api: CommandApi, client: httpx.AsyncClient, admin: Headers
) -> None:
    path = f"/users/{api.users['ada'].id}"

    answers = [
        await client.patch(path, json=body, headers=admin)
        for body in ({"role": "client"}, {"disabled": True})
    ]

    assert {answer.status_code for answer in answers} == {409}
    assert {answer.json()["code"] for answer in answers} == {"OWN_ACCOUNT"}


async def test_a_change_of_somebody_elses_user_ends_none_of_that_users_sessions(
    api: CommandApi, client: httpx.AsyncClient, admin: Headers
) -> None:
    login = {"username": "gina", "password": PASSWORD}
    tokens = (await client.post("/auth/token", data=login)).json()

    answer = await client.patch(
        f"/users/{api.users['gina'].id}", json={"disabled": True}, headers=admin
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "USER_NOT_FOUND")
    body = {"refresh_token": tokens["refresh_token"]}
    assert (await client.post("/auth/refresh", json=body)).status_code == 200


async def test_a_new_user_has_an_address(client: httpx.AsyncClient, admin: Headers) -> None:
    body = {"username": "addressed", "password": PASSWORD}

    answer = await client.post("/users", json=body, headers=admin)

    assert answer.headers["Location"].endswith(f"{PREFIX}/users/{answer.json()['user_id']}")


async def test_json_too_deep_is_refused_and_no_server_error(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    headers = admin | {"Content-Type": "application/json"}

    answer = await client.post("/users", content=b"[" * 100_000, headers=headers)

    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
