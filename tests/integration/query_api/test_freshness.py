"""Reading one's own write, waiting for a change, and telling late from absent."""

import asyncio
import time
from uuid import uuid4

import httpx
import pytest

from events.contracts.tool import tool_id
from query_api import waiting
from tests.fixtures.query_api import AuthHeaders, World

LONG = 60.0


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a position as long as a busy machine may take."""
    monkeypatch.setattr(waiting, "WAIT_SECONDS_MAX", LONG)


@pytest.fixture
def impatient(unhurried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a position after a moment."""
    monkeypatch.setattr(waiting, "WAIT_SECONDS_MAX", 0.1)


def is_behind(answer: httpx.Response) -> bool:
    """Whether the answer is the refusal of one who would have to wait."""
    assert answer.headers["Retry-After"] == "1"
    return (answer.status_code, answer.json()["code"]) == (503, "PROJECTION_BEHIND")


async def test_min_position_waits_for_the_projection(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()
    await world.start(job_id)
    position = await world.head()
    url, headers = f"/jobs/{job_id}?min_position={position}", await auth_headers()

    asking = asyncio.create_task(query_client.get(url, headers=headers))
    await asyncio.sleep(0)
    await world.project()

    answer = await asking
    assert (answer.status_code, answer.json()["status"]) == (200, "running")
    assert int(answer.headers["X-Applied-Position"]) >= position


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "path",
    ["/jobs/{job_id}", "/jobs", "/jobs/{job_id}/events", "/tools", "/jobs/{job_id}/outputs/a"],
)
async def test_a_position_that_is_not_reached_is_refused_for_now(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders, path: str
) -> None:
    job_id = await world.submit()
    position = await world.project() + 1
    url = f"{path.format(job_id=job_id)}?min_position={position}"

    answer = await query_client.get(url, headers=await auth_headers())

    assert is_behind(answer)
    assert answer.json()["details"]["min_position"] == position


async def test_a_job_whose_row_is_late_is_waited_for(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    headers = await auth_headers()

    asking = asyncio.create_task(query_client.get(f"/jobs/{job_id}", headers=headers))
    await asyncio.sleep(0)
    await world.project()

    assert (await asking).json()["job_id"] == str(job_id)


@pytest.mark.usefixtures("impatient")
async def test_a_job_whose_row_stays_late_is_not_called_absent(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()

    assert is_behind(await query_client.get(f"/jobs/{job_id}", headers=await auth_headers()))


async def test_a_late_job_of_somebody_else_is_absent_at_once(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit(await world.user(name="someone"))
    began = time.monotonic()

    answer = await query_client.get(f"/jobs/{job_id}", headers=await auth_headers())

    assert (answer.status_code, answer.json()["code"]) == (404, "JOB_NOT_FOUND")
    assert time.monotonic() - began < waiting.WAIT_SECONDS_MAX


async def test_a_job_that_never_was_is_absent_whatever_the_position(
    query_client: httpx.AsyncClient, auth_headers: AuthHeaders
) -> None:
    answer = await query_client.get(
        f"/jobs/{uuid4()}?min_position=99", headers=await auth_headers()
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "JOB_NOT_FOUND")


async def test_what_is_no_job_but_another_aggregate_is_absent(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.offer("checksum")

    answer = await query_client.get(f"/jobs/{tool_id('checksum')}", headers=await auth_headers())

    assert answer.json()["code"] == "JOB_NOT_FOUND"


async def test_a_long_poll_answers_at_the_next_change(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()
    headers = await auth_headers()
    known = await query_client.get(f"/jobs/{job_id}", headers=headers)
    headers["If-None-Match"] = known.headers["ETag"]

    asking = asyncio.create_task(query_client.get(f"/jobs/{job_id}?wait=30", headers=headers))
    await asyncio.sleep(0)
    await world.start(job_id)
    await world.project()

    async with asyncio.timeout(LONG):
        assert (await asking).json()["status"] == "running"


async def test_a_long_poll_is_over_at_once_for_a_job_that_has_ended(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.cancel(job_id)
    await world.project()

    async with asyncio.timeout(LONG):
        answer = await query_client.get(f"/jobs/{job_id}?wait=30", headers=await auth_headers())

    assert answer.json()["status"] == "cancelled"


async def test_a_long_poll_without_a_change_says_so_when_its_time_is_over(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()
    headers = await auth_headers()
    known = await query_client.get(f"/jobs/{job_id}?wait=0.05", headers=headers)
    headers["If-None-Match"] = known.headers["ETag"]

    answer = await query_client.get(f"/jobs/{job_id}?wait=0.05", headers=headers)

    assert (known.status_code, answer.status_code) == (200, 304)


async def test_a_long_poll_with_an_old_tag_answers_at_once(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()
    headers = await auth_headers()
    known = await query_client.get(f"/jobs/{job_id}", headers=headers)
    await world.start(job_id)
    await world.project()
    headers["If-None-Match"] = known.headers["ETag"]

    async with asyncio.timeout(LONG):
        answer = await query_client.get(f"/jobs/{job_id}?wait=30", headers=headers)

    assert (answer.status_code, answer.json()["status"]) == (200, "running")


@pytest.mark.parametrize("query", ["wait=31", "wait=-1", "min_position=-1", "wait=nan", "at=noon"])
async def test_a_wait_has_limits(
    query_client: httpx.AsyncClient, auth_headers: AuthHeaders, query: str
) -> None:
    answer = await query_client.get(f"/jobs/{uuid4()}?{query}", headers=await auth_headers())

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert answer.json()["details"][0]["field"] == query.partition("=")[0]


async def test_the_past_is_folded_from_the_log_and_never_behind(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit(inputs={"photo.jpg": b"jpeg"})
    await world.succeed(job_id, {"photo.webp": b"webp"})
    headers = await auth_headers()

    def status(moment: object) -> str:
        return f"/jobs/{job_id}?at={moment}"

    shown = [(await query_client.get(status(n), headers=headers)).json() for n in (1, 2, 3)]
    now = world.clock.now().isoformat().replace("+", "%2B")
    latest = await query_client.get(status(now), headers=headers)
    future = await query_client.get(status(4), headers=headers)
    before = await query_client.get(status("2001-01-01T00:00:00Z"), headers=headers)

    assert [job["status"] for job in shown] == ["queued", "running", "succeeded"]
    assert [file["name"] for file in shown[0]["inputs"]] == ["photo.jpg"]
    assert latest.json()["version"] == 3
    assert latest.headers["X-Applied-Position"] == str(await world.head())
    assert (future.status_code, future.json()["code"]) == (404, "PAST_NOT_FOUND")
    assert before.json()["code"] == "PAST_NOT_FOUND"


async def test_the_past_of_somebody_elses_job_is_absent(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit(await world.user(name="someone"))

    for wanted in (job_id, uuid4()):
        answer = await query_client.get(f"/jobs/{wanted}?at=1", headers=await auth_headers())
        assert (answer.status_code, answer.json()["code"]) == (404, "JOB_NOT_FOUND")
