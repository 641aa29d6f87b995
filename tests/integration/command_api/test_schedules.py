"""`/schedules`: what is accepted, what is refused by name, who may steer what."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest

from events.contracts.job import JobSubmitted
from events.contracts.schedule import ScheduleChanged, ScheduleFired
from events.contracts.values import PLATFORM_TENANT, JobStatus
from events.domain.schedule import Missed, Schedule
from events.domain.tool import Tool
from events.store.codec import Codec
from events.store.sealing import secrets_id
from tests.fixtures.command_api import QUERY_URL, CommandApi, offer
from tests.fixtures.events import origin

Headers = dict[str, str]
BODY: dict[str, Any] = {
    "name": "Every morning",
    "cron": "30 6 * * MON-FRI",
    "time_zone": "Europe/Vienna",
    "job": {"tool": "no-op", "options": {"quality": 3}, "labels": {"customer": "Ärzte"}},
}


async def created(client: httpx.AsyncClient, headers: Headers, **changes: Any) -> UUID:
    answer = await client.post("/schedules", json=BODY | changes, headers=headers)
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["schedule_id"])


async def schedule_of(api: CommandApi, schedule_id: UUID) -> Schedule:
    return await api.repository.load(Schedule, schedule_id)


async def facts_of(api: CommandApi, aggregate_id: UUID) -> list[Any]:
    return [Codec().decode_row(row).fact for row in await api.log.read_stream(aggregate_id)]


async def test_a_schedule_is_accepted_and_its_words_are_sealed(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    answer = await client.post("/schedules", json=BODY, headers=auth_headers)

    assert answer.status_code == 201, answer.text
    kept = answer.json()
    schedule = await schedule_of(api, UUID(kept["schedule_id"]))
    assert (schedule.plan.cron, schedule.plan.zone) == ("30 6 * * MON-FRI", "Europe/Vienna")
    assert schedule.plan.missed is Missed.COALESCE
    assert schedule.next_at is not None
    assert answer.headers["Location"] == f"{QUERY_URL}/api/v1/schedules/{schedule.id}"
    assert answer.headers["X-Event-Position"] == str(kept["position"])
    (row,) = await api.log.read_stream(schedule.id)
    assert b"morning" not in row.state
    assert "Ärzte".encode() not in row.state
    seal = await api.seal(schedule.id)
    assert orjson.loads(seal.open("options", schedule.template.options)) == {"quality": 3}
    assert seal.open("schedule name", schedule.name) == "Every morning"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "often"}, "cron"),
        ({"cron": "* * * * * *"}, "cron"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "* " * 200}, "cron"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"missed": "never"}, "missed"),
        ({"name": ""}, "name"),
        (
            {"job": {"tool": "no-op", "inputs": [{"file": "a"}]}},
            "job.inputs.0.UploadInputBody.file",
        ),
        ({"job": {"tool": "no-op", "timeout_seconds": 0}}, "job.timeout_seconds"),
        ({"job": {"tool": "no-op", "timeout_seconds": 31}}, "timeout_seconds"),
        ({"job": {"tool": "no-op", "options": {"quality": 500}}}, "quality"),
        ({"job": {}}, "job.tool"),
        ({"surprise": 1}, "surprise"),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused_with_its_field(
    api: CommandApi,
    client: httpx.AsyncClient,
    auth_headers: Headers,
    changes: dict[str, Any],
    field: str,
) -> None:
    head = await api.log.head()

    answer = await client.post("/schedules", json=BODY | changes, headers=auth_headers)

    assert answer.status_code == 422, answer.text
    assert field in [detail["field"] for detail in answer.json()["details"]], answer.text
    assert await api.log.head() == head


@pytest.mark.parametrize(
    ("job", "status", "code"),
    [
        ({"tool": "image-convertor"}, 404, "TOOL_NOT_FOUND"),
        ({"tool": "ocr"}, 409, "TOOL_UNAVAILABLE"),
        ({"tool": "image-converter"}, 422, "INVALID_INPUTS"),
    ],
)
async def test_a_tool_that_cannot_run_so_is_refused(
    client: httpx.AsyncClient, auth_headers: Headers, job: dict[str, Any], status: int, code: str
) -> None:
    answer = await client.post("/schedules", json=BODY | {"job": job}, headers=auth_headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_change_keeps_what_it_does_not_name(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    schedule_id = await created(client, auth_headers)
    url = f"/schedules/{schedule_id}"

    answer = await client.patch(url, json={"cron": "0 * * * *"}, headers=auth_headers)
    bad = await client.patch(url, json={"cron": "0 0 30 2 *"}, headers=auth_headers)

    assert answer.status_code == 200, answer.text
    schedule = await schedule_of(api, schedule_id)
    assert (schedule.plan.cron, schedule.plan.zone) == ("0 * * * *", "Europe/Vienna")
    seal = await api.seal(schedule_id)
    assert seal.open("schedule name", schedule.name) == "Every morning"
    assert orjson.loads(seal.open("options", schedule.template.options)) == {"quality": 3}
    assert isinstance((await facts_of(api, schedule_id))[-1], ScheduleChanged)
    assert (bad.status_code, bad.json()["details"][0]["field"]) == (422, "cron")


async def test_a_schedule_is_paused_resumed_and_ended(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    url = f"/schedules/{await created(client, auth_headers)}"

    paused = await client.post(f"{url}/pause", headers=auth_headers)
    again = await client.post(f"{url}/pause", headers=auth_headers)
    resumed = await client.post(f"{url}/resume", headers=auth_headers)
    deleted = await client.delete(url, headers=auth_headers)
    gone = [
        await client.delete(url, headers=auth_headers),
        await client.post(f"{url}/fire", headers=auth_headers),
        await client.patch(url, json={"cron": "0 * * * *"}, headers=auth_headers),
    ]

    assert (paused.status_code, paused.json()["status"]) == (200, "paused")
    assert (again.status_code, again.json()["code"]) == (409, "SCHEDULE_IS_PAUSED")
    assert (resumed.status_code, resumed.json()["status"]) == (200, "active")
    assert (deleted.status_code, deleted.json()["status"]) == (200, "deleted")
    assert [answer.status_code for answer in gone] == [404, 404, 404]


async def test_a_job_may_be_had_at_once_with_what_the_schedule_says(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    schedule_id = await created(client, auth_headers)

    answer = await client.post(f"/schedules/{schedule_id}/fire", headers=auth_headers)

    assert answer.status_code == 202, answer.text
    job_id = UUID(answer.json()["job_id"])
    (submitted,) = await facts_of(api, job_id)
    fired = (await facts_of(api, schedule_id))[-1]
    assert isinstance(submitted, JobSubmitted)
    assert isinstance(fired, ScheduleFired)
    assert (fired.job, fired.tick) == (str(job_id), None)
    assert (submitted.schedule, submitted.tick) == (str(schedule_id), None)
    assert submitted.owner == f"user:{api.users['alice'].id}"
    assert submitted.command_id == fired.command_id
    seal = await api.seal(job_id)
    assert orjson.loads(seal.open("options", submitted.options)) == {"quality": 3}
    assert submitted.labels is not None
    assert orjson.loads(seal.open("labels", submitted.labels)) == {"customer": "Ärzte"}
    assert (await api.job(job_id)).status is JobStatus.QUEUED


async def test_a_secret_of_a_schedule_lies_under_a_key_of_its_own_as_does_each_jobs(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    secret, other = "hunter2-hunter2", "another-secret"
    schedule_id = await created(client, auth_headers, job={"tool": "no-op"})
    url = f"/schedules/{schedule_id}"

    async def fired_after(**options: Any) -> JobSubmitted:
        job = {"tool": "no-op", "options": options}
        changed = await client.patch(url, json={"job": job}, headers=auth_headers)
        answer = await client.post(f"{url}/fire", headers=auth_headers)
        assert (changed.status_code, answer.status_code) == (200, 202), answer.text
        (submitted,) = await facts_of(api, UUID(answer.json()["job_id"]))
        assert isinstance(submitted, JobSubmitted)
        return submitted

    for password in (secret, other):
        submitted = await fired_after(quality=3, password=password)
        template = (await schedule_of(api, schedule_id)).template
        own = await api.seal(secrets_id(schedule_id))
        assert template.secrets is not None
        assert orjson.loads(own.open("secrets", template.secrets)) == {"password": password}
        its = await api.seal(secrets_id(submitted.originator_id))
        assert submitted.secrets is not None
        assert orjson.loads(its.open("secrets", submitted.secrets)) == {"password": password}
        words = await api.seal(submitted.originator_id)
        assert orjson.loads(words.open("options", submitted.options)) == {"quality": 3}
    for row in await api.log.read_after(0):
        assert secret.encode() not in row.state
        assert other.encode() not in row.state


async def introduce(api: CommandApi, name: str) -> None:
    """A worker offers a tool of this name."""
    tool = Tool.introduce(name, origin(tenant=PLATFORM_TENANT))
    tool.offer(offer(), origin(tenant=PLATFORM_TENANT))
    await api.repository.save(tool)


async def test_a_change_keeps_a_secret_that_it_does_not_name_until_null_takes_it_away(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    secret = {"password": "hunter2-hunter2"}
    job = {"tool": "no-op", "options": {"quality": 3, **secret}}
    schedule_id = await created(client, auth_headers, job=job)

    async def after(tool: str = "no-op", **options: Any) -> tuple[Any, Any]:
        """What the schedule's options are, open and secret ones, after a change to these."""
        answer = await client.patch(
            f"/schedules/{schedule_id}",
            json={"job": {"tool": tool, "options": options}},
            headers=auth_headers,
        )
        assert answer.status_code == 200, answer.text
        template = (await schedule_of(api, schedule_id)).template
        words, own = await api.seal(schedule_id), await api.seal(secrets_id(schedule_id))
        secrets = template.secrets and orjson.loads(own.open("secrets", template.secrets))
        return orjson.loads(words.open("options", template.options)), secrets

    assert await after(quality=4) == ({"quality": 4}, secret)
    assert await after() == ({}, secret)
    answer = await client.post(f"/schedules/{schedule_id}/fire", headers=auth_headers)
    (submitted,) = await facts_of(api, UUID(answer.json()["job_id"]))
    its = await api.seal(secrets_id(submitted.originator_id))
    assert orjson.loads(its.open("secrets", submitted.secrets)) == secret
    assert await after(quality=5, password=None) == ({"quality": 5}, None)
    assert await after(quality=6) == ({"quality": 6}, None)
    assert await after(password="another-secret") == ({}, {"password": "another-secret"})
    await introduce(api, "other-tool")
    assert await after("other-tool") == ({}, None), "a secret is for the tool that it was given to"


async def test_of_two_who_change_a_secret_at_once_nobody_brings_the_old_one_back(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    job = {"tool": "no-op", "options": {"password": "hunter2-hunter2"}}
    schedule_id = await created(client, auth_headers, job=job)
    url = f"/schedules/{schedule_id}"
    told = [{"quality": 3}, {"password": "another-secret"}]

    answers = await asyncio.gather(
        *(
            client.patch(
                url, json={"job": {"tool": "no-op", "options": each}}, headers=auth_headers
            )
            for each in told * 5
        )
    )

    codes = [(each.status_code, each.json().get("code")) for each in answers]
    assert set(codes) <= {(200, None), (409, "CONFLICT")}
    own = await api.seal(secrets_id(schedule_id))
    facts = (await facts_of(api, schedule_id))[1:]
    secrets = [orjson.loads(own.open("secrets", fact.template["secrets"])) for fact in facts]
    assert len(facts) == codes.count((200, None)) > 0
    found = [each["password"] == "another-secret" for each in secrets]
    assert found == sorted(found), "the old one never follows the new one"


async def test_a_schedule_without_a_key_for_secrets_is_told_so(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers, module_database_url: str
) -> None:
    schedule_id = await created(client, auth_headers)
    connection = await asyncpg.connect(module_database_url)
    await connection.execute(
        "DELETE FROM keys.subject_keys WHERE subject_id = $1", secrets_id(schedule_id)
    )
    await connection.close()

    answer = await client.patch(
        f"/schedules/{schedule_id}",
        json={"job": {"tool": "no-op", "options": {"password": "p" * 12}}},
        headers=auth_headers,
    )

    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["details"]] == ["job.options.password"]


async def test_a_repeated_request_makes_one(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    key = auth_headers | {"Idempotency-Key": "plan"}
    first = await client.post("/schedules", json=BODY, headers=key)
    again = await client.post("/schedules", json=BODY, headers=key)
    other = await client.post("/schedules", json=BODY | {"cron": "0 * * * *"}, headers=key)
    url = f"/schedules/{first.json()['schedule_id']}/fire"
    headers = auth_headers | {"Idempotency-Key": "fire"}

    fires = await asyncio.gather(*(client.post(url, headers=headers) for _ in range(5)))

    assert again.json()["schedule_id"] == first.json()["schedule_id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_CONFLICT")
    assert [each.status_code for each in fires] == [202] * 5, [each.text for each in fires]
    assert len({each.json()["job_id"] for each in fires}) == 1
    facts = await facts_of(api, UUID(first.json()["schedule_id"]))
    assert len([fact for fact in facts if isinstance(fact, ScheduleFired)]) == 1


@pytest.mark.parametrize("who", ["bob", "gina", "gus"])
async def test_a_stranger_finds_no_schedule(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers, who: str
) -> None:
    url = f"/schedules/{await created(client, auth_headers)}"
    head = await api.log.head()
    headers = api.headers(who)

    answers = [
        await client.post(f"{url}/pause", headers=headers),
        await client.post(f"{url}/resume", headers=headers),
        await client.post(f"{url}/fire", headers=headers),
        await client.patch(url, json={"name": "mine"}, headers=headers),
        await client.delete(url, headers=headers),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["code"] for answer in answers} == {"SCHEDULE_NOT_FOUND"}
    assert await api.log.head() == head


async def test_an_operator_steers_the_tenants_and_an_auditor_none(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    url = f"/schedules/{await created(client, auth_headers)}"

    operator = await client.post(f"{url}/pause", headers=api.headers("olga"))
    auditor = await client.post(f"{url}/resume", headers=api.headers("otto"))
    nobody = await client.post(f"{url}/resume")
    making = await client.post("/schedules", json=BODY, headers=api.headers("otto"))

    assert operator.status_code == 200, operator.text
    assert (auditor.status_code, nobody.status_code, making.status_code) == (403, 401, 403)


async def test_a_job_is_no_schedule(client: httpx.AsyncClient, auth_headers: Headers) -> None:
    job = await client.post("/jobs", json={"tool": "no-op"}, headers=auth_headers)

    answer = await client.post(f"/schedules/{job.json()['job_id']}/fire", headers=auth_headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "SCHEDULE_NOT_FOUND")
