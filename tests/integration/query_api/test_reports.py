"""What one is told of how a job went: its attempts, what they wrote, its timeline."""

from uuid import UUID

import httpx

from infrastructure.principals import Role
from tests.fixtures.query_api import AuthHeaders, World


async def troubled(world: World) -> UUID:
    """A job whose first worker was lost, and that failed for good in its second attempt."""
    job_id = await world.submit()
    await world.lose_worker(job_id)
    await world.fail(job_id, "photo.jpg is cut short", tool_version="2")
    return job_id


async def test_a_report_tells_of_every_attempt_and_why_the_last_one_failed(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await troubled(world)
    await world.wrote(job_id, 2, "reading photo.jpg\n")
    position = await world.project()

    answer = await query_client.get(f"/jobs/{job_id}/report", headers=await auth_headers())

    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Applied-Position"] == str(position)
    report = answer.json()
    assert report["reason"] == {"code": "CORRUPT_FILE", "message": "photo.jpg is cut short"}
    assert report["request_id"] == "request-1"
    lost, failed = report["attempts"]
    assert (lost["number"], lost["counted_as"], lost["outcome"]) == (1, 1, "worker_lost")
    assert (failed["number"], failed["counted_as"], failed["outcome"]) == (2, 2, "failed")
    assert (failed["worker"], failed["isolation"], failed["permanent"]) == ("worker:1", "L1", True)
    assert (lost["tool_version"], failed["tool_version"]) == ("1", "2")
    assert failed["resources"] == {"cpu_seconds": 0.5}
    assert failed["duration_ms"] == 12
    assert report["run_ms"] == lost["duration_ms"] + 12
    assert report["queue_wait_ms"] == lost["waited_ms"] + failed["waited_ms"]
    assert (report["log"]["number"], report["log"]["text"]) == (2, "reading photo.jpg\n")
    assert [event["version"] for event in report["timeline"]] == [1, 2, 3, 4, 5]
    assert not report["timeline_is_cut"]


async def test_a_report_of_an_erased_job_holds_no_word_of_its_owner(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await troubled(world)
    await world.wrote(job_id, 2, "reading photo.jpg\n")
    await world.project()
    await world.erase(job_id)

    answer = await query_client.get(f"/jobs/{job_id}/report", headers=await auth_headers())

    assert answer.json()["reason"] == {"code": "CORRUPT_FILE", "message": None}
    assert answer.json()["log"]["text"] is None
    assert "photo.jpg" not in answer.text


async def test_the_log_of_an_attempt_is_for_its_owner_and_for_operators(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await troubled(world)
    await world.wrote(job_id, 2, "line\n", is_cut=True)
    await world.project()
    path = f"/jobs/{job_id}/attempts/2/log"

    for headers in (await auth_headers(), await auth_headers(Role.OPERATOR)):
        answer = await query_client.get(path, headers=headers)

        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["number"], told["text"], told["is_cut"]) == (2, "line\n", True)


async def test_an_attempt_that_wrote_nothing_has_no_log(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await troubled(world)
    await world.project()
    headers = await auth_headers()

    silent = await query_client.get(f"/jobs/{job_id}/attempts/1/log", headers=headers)
    bad = await query_client.get(f"/jobs/{job_id}/attempts/0/log", headers=headers)

    assert (silent.status_code, silent.json()["code"]) == (404, "ATTEMPT_LOG_NOT_FOUND")
    assert bad.status_code == 422


async def test_of_a_long_log_the_report_holds_the_end(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await troubled(world)
    await world.wrote(job_id, 2, f"{'x' * 20_000}\nthe end\n")
    await world.project()

    answer = await query_client.get(f"/jobs/{job_id}/report", headers=await auth_headers())

    log = answer.json()["log"]
    assert log["is_cut"]
    assert log["text"].endswith("\nthe end\n")
    assert len(log["text"]) < 20_000
