"""A tool's progress reaches whoever follows the job, on real servers, and is stored nowhere."""

import json

from tests.acceptance.yard import OK, Yard
from tests.fixtures.platform import Platform

SECONDS_MAX = 60.0


def test_progress_of_a_running_tool_arrives_in_the_stream(platform: Platform) -> None:
    yard = Yard(platform)
    job_id = yard.submit({"seconds": 3.0})
    facts, progress, name = [], [], "message"
    url = f"{platform.query_url}/api/v1/jobs/{job_id}/stream"

    with yard.client(SECONDS_MAX) as client, client.stream("GET", url) as answer:
        assert answer.status_code == OK
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                told = json.loads(line.removeprefix("data: "))
                (progress if name == "progress" else facts).append(told)
                name = "message"

    assert [each["topic"].rpartition(".")[2] for each in facts] == [
        *("submitted", "attempt_started", "attempt_succeeded")
    ]
    assert len(progress) > 1
    assert [each["percent"] for each in progress] == sorted(each["percent"] for each in progress)
    assert "of 3 s" in progress[0]["message"]
    assert yard.facts(job_id) == ["submitted", "attempt_started", "attempt_succeeded"]
