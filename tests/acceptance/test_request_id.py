"""One request id can be followed from the POST to the last projector's line."""

import json

from tests.acceptance.yard import Yard
from tests.fixtures.deadlines import wait_until
from tests.fixtures.platform import Platform

REQUEST_ID = "follow-me-through-the-house"
PROCESSES = ("command-api", "dispatcher", "worker-1", "projector")
WALKED = ("command-api", "worker-1", "projector")


def lines(platform: Platform, process: str) -> list[dict[str, object]]:
    found = [line for line in platform.log(process).splitlines() if REQUEST_ID in line]
    return [json.loads(line) for line in found if line.startswith("{")]


def test_a_request_is_followed_from_the_post_to_the_last_projector(platform: Platform) -> None:
    yard = Yard(platform)
    with yard.client() as client:
        answer = client.post(
            f"{platform.command_url}/api/v1/jobs",
            json={"tool": "no-op"},
            headers={"X-Request-ID": REQUEST_ID},
        )
    job_id = answer.json()["job_id"]
    yard.wait_for(job_id)

    assert answer.headers["x-request-id"] == REQUEST_ID
    wait_until(
        lambda: all(lines(platform, process) for process in WALKED),
        "a process says nothing of the request",
        story=lambda: str({process: len(lines(platform, process)) for process in PROCESSES}),
    )
    events = {str(line["event"]) for line in lines(platform, "worker-1")}
    assert {"tool_processing_started", "tool_processing_completed"} <= events
    [row] = yard.query(
        "SELECT count(*) AS events FROM event_store.stored_events WHERE originator_id = %s "
        "AND convert_from(state, 'UTF8')::jsonb ->> 'correlation_id' = %s",
        job_id,
        REQUEST_ID,
    )
    assert row["events"] == len(yard.facts(job_id))
