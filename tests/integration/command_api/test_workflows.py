"""`/workflows` and `/batches`: what is accepted, what is refused and where, what the log says."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from events.contracts.workflow import OnFailure, WorkflowKind, WorkflowStatus
from events.domain.workflow import Workflow
from events.domain.workflow_plan import STEPS_MAX
from events.store.repository import Repository
from events.store.sealing import secrets_id
from tests.fixtures.command_api import QUERY_URL, CommandApi, offer
from tests.integration.command_api.test_jobs import uploaded

Headers = dict[str, str]
Step = dict[str, Any]


def step(name: str, *after: str, **changes: Any) -> Step:
    return {"id": name, "tool": "no-op", "after": list(after), **changes}


async def submitted(client: httpx.AsyncClient, headers: Headers, *steps: Step, **more: Any) -> str:
    answer = await client.post("/workflows", json={"steps": steps, **more}, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["workflow_id"])


async def load(api: CommandApi, workflow_id: str) -> Workflow:
    rows = await api.log.read_stream(UUID(workflow_id))
    return Repository(api.log, None).fold(Workflow, rows)  # type: ignore[arg-type]


async def refused(
    client: httpx.AsyncClient, headers: Headers, *steps: Step, path: str = "/workflows", **more: Any
) -> list[tuple[str, str]]:
    """The fields at fault, each with its code."""
    key = "jobs" if path == "/batches" else "steps"
    answer = await client.post(path, json={key: steps, **more}, headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return [(each["field"], each["code"]) for each in answer.json()["details"]]


async def test_a_workflow_is_accepted_and_stands_in_the_log(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    upload = await uploaded(client, auth_headers)
    body = {
        "name": "Everything at once",
        "steps": [
            step("a", inputs=[{"upload_id": upload}], queue="bulk", priority=3),
            step("b", inputs=[{"step": "a", "output": "*"}, {"upload_id": upload}]),
            step("c", for_each="a", quorum={"at_least": 2}),
            step("d", "a", "b", "c", join={"at_least": 2}),
        ],
        "on_failure": "continue",
        "labels": {"team": "x"},
    }
    answer = await client.post("/workflows", json=body, headers=auth_headers)

    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    workflow = await load(api, accepted["workflow_id"])
    seal = await api.seal(workflow.id)
    assert workflow.status is WorkflowStatus.RUNNING
    assert workflow.on_failure is OnFailure.CONTINUE
    assert workflow.owner == f"user:{api.users['alice'].id}"
    assert workflow.name is not None
    assert seal.open("name", workflow.name) == "Everything at once"
    one, other = workflow.plans["a"].inputs[0].file, workflow.plans["b"].inputs[1].file
    assert one is not None
    assert one == other
    assert seal.open("name", one.name) == "a.txt"
    assert (workflow.plans["d"].join.least, workflow.plans["c"].quorum.least) == (2, 2)
    assert answer.headers["X-Event-Position"] == str(accepted["position"])
    assert answer.headers["Location"] == f"{QUERY_URL}/api/v1/workflows/{workflow.id}"


async def test_nothing_that_is_personal_stands_open_in_the_log(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    await api.introduce("secretive", offer(options_schema={"type": "object"}))
    upload = await uploaded(client, auth_headers)
    workflow_id = await submitted(
        *(client, auth_headers),
        step("a", tool="secretive", options={"p": "pass-word"}, inputs=[{"upload_id": upload}]),
        step("b", inputs=[{"step": "a", "output": "Letter to Anna.txt"}]),
        name="Divorce of Bert",
        labels={"who": "Clara"},
    )

    (row,) = await api.log.read_stream(UUID(workflow_id))
    for text in (b"pass-word", b"Anna", b"Bert", b"Clara", b"a.txt"):
        assert text not in row.state


async def test_a_secret_of_a_step_lies_under_a_key_of_its_own(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    workflow_id = await submitted(
        *(client, auth_headers),
        step("a", options={"quality": 3, "password": "hunter2-hunter2"}),
        step("b", options={"quality": 4}),
    )
    without = await submitted(client, auth_headers, step("a"))

    workflow = await load(api, workflow_id)
    words, own = await api.seal(workflow.id), await api.seal(secrets_id(workflow.id))
    a, b = workflow.plans["a"], workflow.plans["b"]
    assert a.secrets is not None
    assert own.open("secrets:a", a.secrets) == '{"password":"hunter2-hunter2"}'
    assert words.open("options:a", a.options) == '{"quality":3}'
    assert (words.open("options:b", b.options), b.secrets) == ('{"quality":4}', None)
    (row,) = await api.log.read_stream(workflow.id)
    assert b"hunter2" not in row.state
    assert await api.log.keys([secrets_id(UUID(without))]) == {}


async def test_the_workflow_has_its_own_copy_of_an_upload(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    upload = await uploaded(client, auth_headers)
    before = api.blob_files()
    await submitted(
        *(client, auth_headers),
        step("a", inputs=[{"upload_id": upload}]),
        step("b", inputs=[{"upload_id": upload}]),
    )

    assert len(api.blob_files() - before) == 1


async def test_a_repeated_request_gets_the_first_answer(
    client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    headers = auth_headers | {"Idempotency-Key": str(uuid4())}
    body = {"steps": [step("a"), step("b", "a", join="any")]}
    first = await client.post("/workflows", json=body, headers=headers)
    again = await client.post("/workflows", json=body, headers=headers)
    other = await client.post("/workflows", json={"steps": [step("a")]}, headers=headers)

    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_CONFLICT")


@pytest.mark.parametrize(
    ("steps", "field", "code"),
    [
        ([step("a", "b"), step("b", "a")], "steps.0.after.0", "cyclic"),
        ([step("a"), step("b"), step("c"), step("d", "a", "x")], "steps.3.after.1", "unknown_step"),
        ([step("a"), step("b", inputs=[{"step": "x"}])], "steps.1.inputs.0.step", "unknown_step"),
        ([step("a"), step("b", for_each="x")], "steps.1.for_each", "unknown_step"),
        ([step("a"), step("a")], "steps.1.id", "step_repeated"),
        ([step("a"), step("b", "a", join={"at_least": 2})], "steps.1.join", "join_too_high"),
        ([step("a"), step("b", tool="nothing")], "steps.1.tool", "TOOL_NOT_FOUND"),
        ([step("a", options={"typo": 1})], "steps.0.options.typo", "additionalProperties"),
        (
            [step("a", inputs=[{"upload_id": str(uuid4())}])],
            "steps.0.inputs.0",
            "UPLOAD_NOT_FOUND",
        ),
        ([step("a", join={"at_least": 0})], "steps.0.join", "value_error"),
        ([step("a", join="most")], "steps.0.join", "value_error"),
        ([step("a b")], "steps.0.id", "string_pattern_mismatch"),
        ([], "steps", "too_short"),
    ],
)
async def test_what_cannot_be_run_is_refused_with_the_field(
    client: httpx.AsyncClient, auth_headers: Headers, steps: list[Step], field: str, code: str
) -> None:
    assert (field, code) in await refused(client, auth_headers, *steps)


async def test_too_many_steps_are_refused(client: httpx.AsyncClient, auth_headers: Headers) -> None:
    steps = [{"id": f"s{number}", "tool": "no-op"} for number in range(10_001)]

    assert await refused(client, auth_headers, *steps) == [("steps", "too_long")]
    await submitted(client, auth_headers, *steps[:STEPS_MAX])


async def test_files_and_their_number_are_judged_where_they_are_known(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    await api.introduce("picky", offer(input_formats=["image/*"], inputs_min=1))
    text = {"upload_id": await uploaded(client, auth_headers)}

    assert await refused(
        *(client, auth_headers),
        step("a", tool="picky", inputs=[text]),
        step("b", tool="picky"),
        step("c", tool="picky", inputs=[text, {"step": "a"}]),
        step("d", tool="picky", inputs=[{"step": "a"}]),
    ) == [
        ("steps.0.inputs", "UNSUPPORTED_MEDIA_TYPE"),
        ("steps.1.inputs", "INVALID_INPUTS"),
        ("steps.2.inputs", "UNSUPPORTED_MEDIA_TYPE"),
    ]


async def test_what_was_refused_leaves_no_blob(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    upload = {"upload_id": await uploaded(client, auth_headers)}
    before = api.blob_files()

    await refused(client, auth_headers, step("a", inputs=[upload]), step("b", tool="nothing"))

    assert api.blob_files() == before


async def test_a_batch_is_a_workflow_of_independent_steps(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    body = {"jobs": [{"tool": "no-op"}, {"id": "mine", "tool": "no-op"}]}
    answer = await client.post("/batches", json=body, headers=auth_headers)

    assert answer.status_code == 202, answer.text
    workflow = await load(api, answer.json()["workflow_id"])
    assert workflow.kind is WorkflowKind.BATCH
    assert list(workflow.plans) == ["job-1", "mine"]
    assert len(workflow.ready()) == 2
    assert await refused(
        *(client, auth_headers), {"tool": "no-op"}, {"tool": "nothing"}, path="/batches"
    ) == [("jobs.1.tool", "TOOL_NOT_FOUND")]


async def test_a_workflow_is_cancelled_once_and_tried_again(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    path = f"/workflows/{await submitted(client, auth_headers, step('a'), step('b', 'a'))}"
    early = await client.post(f"{path}/retry", headers=auth_headers)
    cancelled = await client.post(f"{path}/cancel", headers=auth_headers)
    twice = await client.post(f"{path}/cancel", headers=auth_headers)
    typo = await client.post(f"{path}/retry", json={"from_step": "x"}, headers=auth_headers)
    whole = {"from_step": "b", "whole_steps": True}
    retried = await client.post(f"{path}/retry", json=whole, headers=auth_headers)

    assert (early.status_code, early.json()["code"]) == (409, "WORKFLOW_IS_NOT_FINAL")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    assert (twice.status_code, twice.json()["code"]) == (409, "WORKFLOW_IS_FINAL")
    assert twice.json()["details"] == {"status": "cancelled"}
    assert (typo.status_code, typo.json()["details"][0]["field"]) == (422, "from_step")
    assert (retried.status_code, retried.json()["status"]) == (202, "running")
    assert (await load(api, path.rpartition("/")[2])).round == 2


async def test_a_workflow_of_others_is_as_absent_as_one_that_never_was(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    workflow_id = await submitted(client, auth_headers, step("a"))
    others = [name for name, user in api.users.items() if user.tenant != api.users["alice"].tenant]
    assert others
    for name, wanted in [*((name, workflow_id) for name in others), ("alice", str(uuid4()))]:
        for act in ("cancel", "retry"):
            answer = await client.post(f"/workflows/{wanted}/{act}", headers=api.headers(name))
            assert (answer.status_code, answer.json()["code"]) == (404, "WORKFLOW_NOT_FOUND"), name


async def test_a_job_is_no_workflow(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: Headers
) -> None:
    job = await client.post("/jobs", json={"tool": "no-op"}, headers=auth_headers)
    job_id = job.json()["job_id"]

    answer = await client.post(f"/workflows/{job_id}/cancel", headers=auth_headers)

    assert answer.status_code == 404
