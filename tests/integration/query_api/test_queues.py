"""Queues and limits as operators see them."""

from uuid import UUID

import httpx

from events.contracts.limit import LimitScope, limit_id
from events.domain.limit import Bounds, Limit
from events.domain.queue import Queue
from infrastructure.principals import Role
from tests.fixtures.query_api import TENANT, AuthHeaders, World

KEY_TOKEN = "0123456789abcdef01234567"


async def test_queues_say_what_waits_runs_and_is_paused(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    headers = await auth_headers(Role.OPERATOR)
    for _ in range(2):
        await world.submit(queue="bulk")
    await world.succeed(await world.submit(), {"a": b"a"})
    await world.submit(await world.user(tenant="globex"), queue="secret")
    idle = Queue.introduce("idle", world.origin(TENANT, "user:1"))
    idle.pause(world.origin(TENANT, "user:1"))
    await world.repository.save(idle)
    position = await world.project()

    answer = await query_client.get("/queues", headers=headers)

    assert answer.headers["X-Applied-Position"] == str(position)
    items = {item["name"]: item for item in answer.json()["items"]}
    assert list(items) == ["bulk", "default", "idle"], "and nothing of another tenant"
    assert (items["bulk"]["depth"], items["bulk"]["running"]) == (2, 0)
    assert items["bulk"]["oldest_at"] is not None
    assert (items["default"]["depth"], items["default"]["oldest_at"]) == (0, None)
    assert (items["idle"]["paused"], items["bulk"]["paused"]) == (True, False)


async def test_limits_are_listed_until_they_are_removed(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    headers = await auth_headers(Role.OPERATOR)
    key_id = limit_id(TENANT, LimitScope.KEY, KEY_TOKEN)
    seal, key = world.sealer.new_key(key_id, TENANT, "user:1")
    keyed = Limit.introduce(
        LimitScope.KEY,
        KEY_TOKEN,
        seal.seal("subject", "customer-7"),
        world.origin(TENANT, "user:1"),
    )
    keyed.set(Bounds(concurrency=2), world.origin(TENANT, "user:1"))
    await world.repository.save(keyed, keys=(key,))
    tool = Limit.introduce(LimitScope.TOOL, "no-op", None, world.origin(TENANT, "user:1"))
    tool.set(Bounds(rate=5, per_seconds=60.0), world.origin(TENANT, "user:1"))
    tool.remove(world.origin(TENANT, "user:1"))
    await world.repository.save(tool)
    await world.project()

    (item,) = (await query_client.get("/limits", headers=headers)).json()["items"]

    assert UUID(item["limit_id"]) == key_id
    assert (item["scope"], item["name"], item["concurrency"]) == ("key", "customer-7", 2)


async def test_a_client_sees_neither(
    query_client: httpx.AsyncClient, auth_headers: AuthHeaders
) -> None:
    headers = await auth_headers(Role.CLIENT)

    answers = [await query_client.get(path, headers=headers) for path in ("/queues", "/limits")]

    assert [answer.status_code for answer in answers] == [403, 403]
