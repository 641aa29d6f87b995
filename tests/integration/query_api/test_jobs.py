"""One job, as it is shown to those who may see it."""

import httpx
from redis import Redis

from infrastructure.principals import Role
from projectors.read_models import live
from tests.fixtures.query_api import COMMAND_URL, QUERY_URL, AuthHeaders, World


async def test_a_job_is_shown_with_everything_that_was_said_of_it(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.offer()
    job_id = await world.submit(
        options={"quality": 70, "password": "hunter2"},
        labels={"team": "red"},
        inputs={"photo.jpg": b"jpeg"},
    )
    note = "photo.jpg holds many pictures; the first was taken."
    files = await world.succeed(job_id, {"photo 1.webp": b"webp!"}, notes=[note])
    position = await world.project()

    answer = await query_client.get(f"/jobs/{job_id}", headers=await auth_headers())

    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Applied-Position"] == str(position)
    job = answer.json()
    assert job["job_id"] == str(job_id)
    assert (job["tool"], job["status"], job["attempt"]) == ("image-converter", "succeeded", 1)
    assert job["options"] == {"quality": 70, "password": "(secret)"}
    assert job["labels"] == {"team": "red"}
    assert [file["name"] for file in job["inputs"]] == ["photo.jpg"]
    assert job["outputs"] == [
        {
            "name": "photo 1.webp",
            "media_type": "image/webp",
            "size_bytes": 5,
            "sha256": files[0].sha256,
            "url": f"{QUERY_URL}/api/v1/jobs/{job_id}/outputs/photo%201.webp",
        }
    ]
    assert job["notes"] == [note]
    assert (job["error"], job["progress"]) == (None, None)
    assert (job["version"], job["position"]) == (3, position)
    assert job["links"] == {
        "self": f"{QUERY_URL}/api/v1/jobs/{job_id}",
        "events": f"{QUERY_URL}/api/v1/jobs/{job_id}/events",
        "report": f"{QUERY_URL}/api/v1/jobs/{job_id}/report",
        "stream": f"{QUERY_URL}/api/v1/jobs/{job_id}/stream",
        "outputs_zip": f"{QUERY_URL}/api/v1/jobs/{job_id}/outputs.zip",
    }


async def test_a_failed_job_says_why_and_how_to_try_again(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.fail(job_id, "photo.jpg is cut short")
    await world.project()

    job = (await query_client.get(f"/jobs/{job_id}", headers=await auth_headers())).json()
    assert job["notes"] == []

    assert (job["status"], job["outputs"]) == ("failed", [])
    assert job["error"] == {"code": "CORRUPT_FILE", "message": "photo.jpg is cut short"}
    assert job["links"]["retry"] == f"{COMMAND_URL}/api/v1/jobs/{job_id}/retry"
    assert "cancel" not in job["links"]


async def test_a_waiting_job_can_be_cancelled(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()

    job = (await query_client.get(f"/jobs/{job_id}", headers=await auth_headers())).json()

    assert (job["status"], job["started_at"]) == ("queued", None)
    assert job["links"]["cancel"] == f"{COMMAND_URL}/api/v1/jobs/{job_id}/cancel"


async def test_erased_personal_data_read_erased_and_the_rest_stays(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    await world.offer()
    job_id = await world.submit(labels={"who": "me"}, inputs={"me.jpg": b"jpeg"})
    await world.succeed(job_id, {"me.webp": b"webp"})
    await world.project()
    await world.erase(job_id)

    job = (await query_client.get(f"/jobs/{job_id}", headers=await auth_headers())).json()

    assert (job["labels"], job["options"]) == (None, None)
    assert [file["name"] for file in job["inputs"]] == ["(erased)"]
    assert [(file["name"], file["url"]) for file in job["outputs"]] == [("(erased)", None)]
    assert job["status"] == "succeeded"


async def test_options_stay_hidden_while_it_is_unknown_which_are_secret(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit(options={"password": "hunter2"})
    await world.project()

    answer = await query_client.get(f"/jobs/{job_id}", headers=await auth_headers())

    assert answer.json()["options"] is None
    assert "hunter2" not in answer.text


async def test_a_running_job_shows_how_far_it_is(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders, redis_url: str
) -> None:
    job_id = await world.submit()
    await world.start(job_id)
    await world.project()
    told = {live.ATTEMPT: 1, live.PERCENT: 41.5, live.MESSAGE: "page 5 of 12"}
    with Redis.from_url(redis_url) as redis:
        redis.hset(live.job_key(job_id), mapping=told)

    headers = await auth_headers()
    job = (await query_client.get(f"/jobs/{job_id}", headers=headers)).json()
    listed = (await query_client.get("/jobs", headers=headers)).json()["items"]

    assert (job["status"], job["worker"]) == ("running", "worker:1")
    assert job["progress"] == {"percent": 41.5, "message": "page 5 of 12"}
    assert [each["progress"] for each in listed] == [job["progress"]]


async def test_progress_of_an_earlier_attempt_is_not_shown(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders, redis_url: str
) -> None:
    job_id = await world.submit()
    await world.fail(job_id, "busy", permanent=False)
    await world.become_due(job_id)
    await world.start(job_id)
    await world.project()
    with Redis.from_url(redis_url) as redis:
        redis.hset(live.job_key(job_id), mapping={live.ATTEMPT: 1, live.PERCENT: 90})

    job = (await query_client.get(f"/jobs/{job_id}", headers=await auth_headers())).json()

    assert (job["status"], job["attempt"], job["progress"]) == ("running", 2, None)


async def test_a_known_answer_is_not_sent_again_until_the_job_changes(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()
    headers = await auth_headers()
    first = await query_client.get(f"/jobs/{job_id}", headers=headers)
    again = headers | {"If-None-Match": first.headers["ETag"]}
    await world.submit()
    position = await world.project()

    unchanged = await query_client.get(f"/jobs/{job_id}", headers=again)
    await world.start(job_id)
    await world.project()
    changed = await query_client.get(f"/jobs/{job_id}", headers=again)

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["ETag"] == first.headers["ETag"]
    assert unchanged.headers["X-Applied-Position"] == str(position)
    assert (changed.status_code, changed.json()["status"]) == (200, "running")


async def test_an_operator_sees_the_jobs_of_others(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    owner = await world.user(name="someone")
    job_id = await world.submit(owner)
    await world.project()

    for role in (Role.OPERATOR, Role.ADMIN, Role.AUDITOR):
        answer = await query_client.get(f"/jobs/{job_id}", headers=await auth_headers(role))
        assert answer.json()["owner"] == f"user:{owner.user_id}"


async def test_what_is_no_job_id_is_refused(
    query_client: httpx.AsyncClient, auth_headers: AuthHeaders
) -> None:
    answer = await query_client.get("/jobs/17", headers=await auth_headers())

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert answer.json()["details"][0]["field"] == "job_id"


async def test_another_sealing_key_shows_what_erasure_would(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit(inputs={"me.jpg": b"jpeg"})
    await world.project()
    await world.tamper_with_key(job_id)

    job = (await query_client.get(f"/jobs/{job_id}", headers=await auth_headers())).json()

    assert [file["name"] for file in job["inputs"]] == ["(erased)"]
