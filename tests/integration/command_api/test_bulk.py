"""`/jobs/bulk`: what is accepted, what a dry run says, and what the processors make of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from events.contracts.values import JobStatus
from events.domain.bulk import BulkOperation
from events.store.repository import open_repository
from infrastructure import postgres
from processors.bulk.index import PostgresBulkIndex
from processors.bulk.service import BulkService
from processors.settings import BulkSettings
from processors.tail import PostgresTail
from processors.work import PostgresWork
from tests.fixtures.bulk import fold_work
from tests.fixtures.command_api import QUERY_URL, CommandApi, becomes
from tests.fixtures.work import OneLead

Headers = dict[str, str]
STEP_SECONDS = 0.02


@asynccontextmanager
async def processing(api: CommandApi) -> AsyncIterator[None]:
    """The processors deal with bulk operations meanwhile."""
    dsn = api.settings.dsn
    tail, work, index = PostgresTail(dsn), PostgresWork(dsn), PostgresBulkIndex(dsn)
    repository = open_repository(api.settings, postgres.Role.PROCESSORS, api.pool)
    service = BulkService(OneLead(), index, repository, lambda _: None, BulkSettings())

    async def go_on() -> None:
        while True:
            await fold_work(tail, work)
            service.hurry()
            await service.run_once()
            await asyncio.sleep(STEP_SECONDS)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await service.stop()
        await repository.close()
        await tail.close()
        await work.close()


async def submitted(client: httpx.AsyncClient, headers: Headers, **body: Any) -> UUID:
    answer = await client.post("/jobs", json={"tool": "no-op", **body}, headers=headers)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["job_id"])


async def bulk(
    client: httpx.AsyncClient, headers: Headers, action: str, dry_run: bool = False, **wanted: Any
) -> httpx.Response:
    body = {"action": action, "filter": wanted, "dry_run": dry_run}
    return await client.post("/jobs/bulk", json=body, headers=headers)


async def until_ended(api: CommandApi, answer: httpx.Response) -> BulkOperation:
    assert answer.status_code == 202, answer.text
    bulk_id = UUID(answer.json()["bulk_id"])

    async def ended() -> bool:
        loaded = await api.repository.load(BulkOperation, bulk_id)
        return loaded.status.value != "running"

    await becomes(ended)
    return await api.repository.load(BulkOperation, bulk_id)


async def test_an_operation_is_accepted_and_carried_out(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    labels = {"batch": uuid4().hex}
    meant = [await submitted(client, auth_headers, labels=labels) for _ in range(3)]
    other = await submitted(client, auth_headers)
    label = f"batch:{labels['batch']}"

    async with processing(api):
        answer = await bulk(client, auth_headers, "cancel", label=label)
        ended = await until_ended(api, answer)

    accepted = answer.json()
    assert (accepted["action"], accepted["status"], accepted["dry_run"]) == (
        *("cancel", "running", False),
    )
    assert answer.headers["Location"] == f"{QUERY_URL}/api/v1/bulk/{accepted['bulk_id']}"
    assert answer.headers["X-Event-Position"] == str(accepted["position"])
    assert (ended.matched, ended.changed, ended.skipped) == (3, 3, 0)
    assert [(await api.job(job_id)).status for job_id in meant] == [JobStatus.CANCELLED] * 3
    assert (await api.job(other)).status is JobStatus.QUEUED


async def test_a_dry_run_says_how_many_and_changes_nothing(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    queue = f"q-{uuid4().hex}"
    job_id = await submitted(client, auth_headers, queue=queue)
    await api.fail(job_id, "CORRUPT_FILE", "It is cut short.")

    async with processing(api):
        found = await bulk(client, auth_headers, "retry", True, queue=queue)
        none = await bulk(client, auth_headers, "retry", True, queue=queue, error_code="OTHER")

    assert (found.status_code, none.status_code) == (200, 200), found.text
    assert (found.json()["matched"], found.json()["changed"]) == (1, 0)
    assert none.json()["matched"] == 0
    assert (await api.job(job_id)).status is JobStatus.FAILED


async def test_a_client_means_his_own_jobs_and_an_operator_the_tenant_s(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    queue = f"q-{uuid4().hex}"
    for name in ("alice", "bob"):
        await submitted(client, api.headers(name), queue=queue)

    async with processing(api):
        counts = {
            name: (await bulk(client, api.headers(name), "cancel", True, queue=queue)).json()
            for name in ("alice", "olga", "gina")
        }

    matched = {name: count["matched"] for name, count in counts.items()}
    assert matched == {"alice": 1, "olga": 2, "gina": 0}


async def test_the_same_key_leads_to_the_same_operation(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    headers = auth_headers | {"Idempotency-Key": uuid4().hex}

    first = await bulk(client, headers, "retry", tool="no-op")
    again = await bulk(client, headers, "retry", tool="no-op")
    other = await bulk(client, headers, "cancel", tool="no-op")

    assert again.json()["bulk_id"] == first.json()["bulk_id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_CONFLICT")


async def test_an_operation_is_called_off_once(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    bulk_id = (await bulk(client, auth_headers, "retry")).json()["bulk_id"]

    strangers = [
        await client.post(f"/bulk/{bulk_id}/cancel", headers=api.headers(name))
        for name in ("bob", "gina")
    ]
    first = await client.post(f"/bulk/{bulk_id}/cancel", headers=auth_headers)
    again = await client.post(f"/bulk/{bulk_id}/cancel", headers=auth_headers)

    assert [each.json()["code"] for each in strangers] == ["BULK_NOT_FOUND"] * 2
    assert (first.status_code, first.json()["status"]) == (202, "cancelled")
    assert (again.status_code, again.json()["code"]) == (409, "BULK_IS_FINAL")
    assert again.json()["details"] == {"status": "cancelled"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "retry", "filter": {"status": "queued"}}, "filter.status"),
        ({"action": "cancel", "filter": {"status": ["failed"]}}, "filter.status"),
        ({"action": "erase", "filter": {}}, "action"),
        ({"action": "cancel"}, "filter"),
        ({"action": "cancel", "filter": {"colour": "red"}}, "filter.colour"),
        ({"action": "cancel", "filter": {"label": "red"}}, "filter.label"),
        (
            {"action": "cancel", "filter": {"created_after": "2026-11-25T12:00:00"}},
            "filter.created_after",
        ),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_the_field(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers, body: Any, field: str
) -> None:
    head = await api.log.head()

    answer = await client.post("/jobs/bulk", json=body, headers=auth_headers)

    assert answer.status_code == 422, answer.text
    assert answer.json()["details"][0]["field"] == field
    assert await api.log.head() == head
