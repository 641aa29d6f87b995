"""`/jobs`: what is accepted, what is refused, and what the log says afterwards."""

import httpx

from events.contracts.values import JobStatus
from tests.fixtures.command_api import QUERY_URL, CommandApi


async def test_a_job_is_accepted_and_stands_in_the_log(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: dict[str, str]
) -> None:
    answer = await client.post("/jobs", json={"tool": "no-op"}, headers=auth_headers)

    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    job = await api.job(accepted["job_id"])
    assert job.status is JobStatus.QUEUED
    assert job.owner == f"user:{api.users['alice'].id}"
    assert answer.headers["X-Event-Position"] == str(accepted["position"])
    assert answer.headers["Location"] == f"{QUERY_URL}/api/v1/jobs/{accepted['job_id']}"
