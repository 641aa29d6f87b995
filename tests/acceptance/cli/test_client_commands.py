"""The client commands against a running platform, as people and scripts use them."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infrastructure.cli.failures import (
    EXIT_JOB_FAILED,
    EXIT_REFUSED,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
)
from tests.acceptance.yard import Yard
from tests.factories.files import photo_jpeg
from tests.fixtures.platform import Platform

SECONDS_MAX = 90.0

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tokens are kept from one command to the next: logins have a limit."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(platform: Platform, tmp_path: Path, cache: Path) -> Run:
    """Runs `magictoolbox` as the first administrator, in an empty folder."""
    environment = {
        **os.environ,
        "MAGICTOOLBOX_COMMAND_URL": platform.command_url,
        "MAGICTOOLBOX_QUERY_URL": platform.query_url,
        "MAGICTOOLBOX_USERNAME": "admin",
        "XDG_CACHE_HOME": str(cache),
        "MAGICTOOLBOX_PASSWORD": platform.secret("admin_password"),
    }

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "infrastructure.cli.main", *arguments],
            env=environment | changes,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
        )

    return run


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    path = tmp_path / "hello.txt"
    path.write_text("Hello, MagicToolbox")
    return path


def test_a_photo_is_converted_and_written_where_it_was_asked_for(run: Run, tmp_path: Path) -> None:
    photo = tmp_path / "Grüße.jpg"
    photo.write_bytes(photo_jpeg())
    result = tmp_path / "result.png"

    done = run("submit", "image-converter", str(photo), "-o", "output_format=png",
               "--output", str(result))  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{result}\n"
    assert result.read_bytes().startswith(b"\x89PNG")
    assert "succeeded, attempt 1" in done.stderr


def test_results_go_into_a_folder_under_their_own_names(
    run: Run, tmp_path: Path, hello: Path
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()

    done = run("submit", "checksum", str(hello), "--output", str(folder), "--json")

    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    (path,) = job["paths"]
    assert Path(path).parent == folder
    content = Path(path).read_bytes()
    assert hashlib.sha256(content).hexdigest() == job["outputs"][0]["sha256"]
    assert hashlib.sha256(hello.read_bytes()).hexdigest() in content.decode()


def test_without_waiting_there_is_a_job_to_watch(run: Run, hello: Path) -> None:
    job_id = run("submit", "checksum", str(hello), "--no-reuse").stdout.strip()

    watched = run("jobs", "watch", job_id)
    shown = run("jobs", "show", job_id, "--events")
    listed = run("jobs", "list", "--tool", "checksum", "--status", "succeeded")

    assert watched.returncode == 0, watched.stderr
    assert "succeeded" in watched.stderr
    assert "hello.txt" in shown.stdout
    for what in ("submitted", "attempt_started", "attempt_succeeded"):
        assert what in shown.stdout
    assert job_id in listed.stdout


def test_a_tool_that_needs_no_file_is_run_without_one(run: Run, tmp_path: Path) -> None:
    result = tmp_path / "result"

    done = run("submit", "qr-maker", "-o", "text=hello", "--output", str(result))

    assert done.returncode == 0, done.stderr
    assert result.read_bytes().startswith(b"\x89PNG")


def test_all_results_come_as_one_archive(run: Run, hello: Path, tmp_path: Path) -> None:
    aimless = run("submit", "checksum", str(hello), "--zip")

    done = run("submit", "checksum", str(hello), "--zip", "--output", str(tmp_path), "--json")

    assert aimless.returncode == EXIT_USAGE
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert job["paths"] == [str(tmp_path / f"checksum-{job['job_id']}.zip")]
    with zipfile.ZipFile(job["paths"][0]) as archive:
        assert archive.namelist() == [output["name"] for output in job["outputs"]]


def test_programs_get_json(run: Run, hello: Path) -> None:
    accepted = json.loads(run("submit", "checksum", str(hello), "--json", "--no-reuse").stdout)
    job_id = accepted["job_id"]

    watched = json.loads(run("jobs", "watch", job_id, "--json").stdout)
    shown = json.loads(run("jobs", "show", job_id, "--json", "--events").stdout)
    past = json.loads(run("jobs", "show", job_id, "--json", "--at", "1").stdout)
    listed = json.loads(run("jobs", "list", "--json", "--limit", "1").stdout)
    tools = json.loads(run("tools", "list", "--json").stdout)
    tool = json.loads(run("tools", "show", "image-converter", "--json").stdout)

    assert (watched["status"], shown["status"], past["status"]) == (
        "succeeded",
        "succeeded",
        "queued",
    )
    assert [event["version"] for event in shown["events"]] == [1, 2, 3]
    assert len(listed) == 1
    assert tool in tools


def test_a_job_that_fails_fails_the_command(run: Run, hello: Path, tmp_path: Path) -> None:
    result = tmp_path / "result"

    done = run("submit", "image-converter", str(hello), "--output", str(result))

    # A text file is refused at the door or by the tool; either way with a reason and no file.
    assert done.returncode in (EXIT_JOB_FAILED, EXIT_REFUSED)
    assert done.stderr
    assert not result.exists()


def test_a_job_that_has_ended_cannot_be_cancelled(run: Run, hello: Path) -> None:
    job_id = json.loads(run("submit", "checksum", str(hello), "--wait", "--json").stdout)["job_id"]

    cancelled = run("jobs", "cancel", job_id)
    retried = run("jobs", "retry", job_id, "--json")

    assert (cancelled.returncode, retried.returncode) == (EXIT_REFUSED, EXIT_REFUSED)
    assert cancelled.stderr.startswith("error: ")
    assert json.loads(retried.stderr)["status"] == 409


def test_a_failure_is_reported_in_one_document(run: Run, platform: Platform) -> None:
    yard = Yard(platform)
    job_id = yard.submit({"outcome": "permanent"})
    yard.wait_for(job_id)

    document = run("jobs", "report", job_id)
    report = json.loads(run("jobs", "report", job_id, "--json").stdout)

    assert document.returncode == 0, document.stderr
    for words in ("DRILL_FAILED", "## Attempts", "## Timeline", "the drill ends as it was told"):
        assert words in document.stdout
    assert report["reason"]["code"] == "DRILL_FAILED"
    (attempt,) = report["attempts"]
    assert (attempt["number"], attempt["outcome"]) == (1, "failed")
    assert report["log"]["text"] == "the drill ends as it was told: permanent\n"


def test_dead_letters_are_counted_and_tried_again_in_bulk(run: Run, platform: Platform) -> None:
    yard = Yard(platform)
    begun = datetime.now(UTC).isoformat()
    jobs = [yard.submit({"outcome": "permanent"}) for _ in range(3)]
    for job_id in jobs:
        yard.wait_for(job_id)
    wanted = ("--error-code", "DRILL_FAILED", "--created-after", begun)

    aimless = run("jobs", "bulk", "retry")
    counted = json.loads(run("jobs", "bulk", "retry", *wanted, "--dry-run", "--json").stdout)
    retried = json.loads(run("jobs", "bulk", "retry", *wanted, "--wait", "--json").stdout)
    shown = run("jobs", "bulk", "show", retried["bulk_id"])
    listed = json.loads(run("jobs", "bulk", "list", "--status", "finished", "--json").stdout)
    stopped = run("jobs", "bulk", "stop", retried["bulk_id"], "--json")

    assert aimless.returncode == EXIT_USAGE
    assert (counted["status"], counted["matched"], counted["changed"]) == ("finished", 3, 0)
    assert (retried["status"], retried["changed"]) == ("finished", 3)
    assert "finished" in shown.stdout
    assert json.loads(stopped.stderr)["code"] == "BULK_IS_FINAL"
    assert [bulk["dry_run"] for bulk in listed][:2] == [False, True]
    assert listed[0]["bulk_id"] == retried["bulk_id"]
    for job_id in jobs:
        assert yard.facts(job_id).count("reopened") == 1


def test_the_workers_are_shown_with_what_they_do(run: Run, platform: Platform) -> None:
    shown = run("workers", "list")
    (worker,) = json.loads(run("workers", "list", "--json").stdout)

    assert shown.returncode == 0, shown.stderr
    assert worker["worker"] in shown.stdout
    assert worker["process"] == platform.pid("worker-1")
    assert worker["status"] == "working"
    assert worker["used"] + worker["free"] == worker["slots"] > 0
    assert worker["isolation"].startswith("L")


def test_a_bad_option_is_named(run: Run, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(photo_jpeg())

    done = run("submit", "image-converter", str(photo), "-o", "colour=red")

    assert done.returncode == EXIT_REFUSED
    assert "colour" in done.stderr


def test_the_tools_are_shown_with_their_options(run: Run) -> None:
    listed = run("tools", "list")
    shown = run("tools", "show", "image-converter")

    assert "image-converter" in listed.stdout
    assert "output_format" in shown.stdout
    assert "used again" in shown.stdout
    assert "up to 5, after 2 s, then 2 times as long each time, at most 600 s" in shown.stdout


@pytest.mark.parametrize("command", [("jobs", "show", "../tools"), ("tools", "show", "nothing")])
def test_what_is_not_there_is_refused(run: Run, command: tuple[str, ...]) -> None:
    done = run(*command)

    assert (done.returncode, done.stdout) == (EXIT_REFUSED, "")
    assert done.stderr.startswith("error: ")


def test_a_wrong_password_is_refused_and_not_shown(run: Run) -> None:
    done = run("jobs", "list", MAGICTOOLBOX_PASSWORD="a wrong password")

    assert done.returncode == EXIT_REFUSED
    assert "a wrong password" not in done.stdout + done.stderr


def test_a_platform_that_is_not_there_is_named(run: Run) -> None:
    done = run("tools", "list", MAGICTOOLBOX_COMMAND_URL="http://127.0.0.1:1")

    assert done.returncode == EXIT_UNAVAILABLE
    assert done.stderr == "error: http://127.0.0.1:1 does not answer\n"


def test_a_schedule_is_made_fired_steered_and_ended(run: Run, tmp_path: Path) -> None:
    words = tmp_path / "ä.txt"
    words.write_text("hello")
    made = run("schedules", "create", "Every hour", "checksum", str(words), "--cron", "0 * * * *",
               "--time-zone", "Europe/Vienna", "--json")  # fmt: skip
    assert made.returncode == 0, made.stderr
    schedule = json.loads(made.stdout)["schedule_id"]

    fired = run("schedules", "fire", schedule)
    watched = run("jobs", "watch", fired.stdout.strip(), "--json")
    shown = run("schedules", "show", schedule, "--json")
    listed = run("schedules", "list")
    steered = [run("schedules", step, schedule) for step in ("pause", "resume", "delete")]
    gone = run("schedules", "show", schedule)

    assert json.loads(watched.stdout)["status"] == "succeeded", watched.stderr
    view = json.loads(shown.stdout)
    assert (view["name"], view["time_zone"]) == ("Every hour", "Europe/Vienna")
    assert [file["name"] for file in view["job"]["inputs"]] == ["ä.txt"]
    assert [job["job_id"] for job in view["latest_jobs"]] == [fired.stdout.strip()]
    assert schedule in listed.stdout
    assert [step.returncode for step in steered] == [0, 0, 0], [step.stderr for step in steered]
    assert gone.returncode == EXIT_REFUSED


def test_a_cron_line_that_never_fires_is_refused_with_its_field(run: Run) -> None:
    refused = run("schedules", "create", "Never", "no-op", "--cron", "0 0 30 2 *")

    assert refused.returncode == EXIT_REFUSED
    assert "cron" in refused.stderr


def test_a_queue_is_stopped_its_job_moved_up_and_let_go(run: Run) -> None:
    stopped = run("queues", "pause", "default", "--json")
    assert json.loads(stopped.stdout)["paused"], stopped.stderr
    job = run("submit", "no-op").stdout.strip()
    moved = run("jobs", "priority", job, "5", "--json")
    listed = run("queues", "list")
    going = run("queues", "resume", "default")
    watched = run("jobs", "watch", job, "--json")

    assert moved.returncode == 0, moved.stderr
    assert "default" in listed.stdout
    assert going.stdout + going.stderr == "default: open\n"
    assert json.loads(watched.stdout)["priority"] == 5
    assert json.loads(watched.stdout)["status"] == "succeeded"


def test_a_limit_is_set_listed_and_removed(run: Run) -> None:
    bound = run("limits", "set", "key", "customer-7", "--concurrency", "2", "--json")
    limit = json.loads(bound.stdout)["limit_id"]
    unbound = run("limits", "set", "tenant", "--concurrency", "0")
    removed = run("limits", "remove", limit)

    assert removed.returncode == 0, removed.stderr
    assert unbound.returncode == EXIT_REFUSED
    assert "concurrency" in unbound.stderr
    assert run("limits", "list", "--json").returncode == 0


def test_the_same_again_is_not_run_again_unless_that_is_wanted(run: Run, tmp_path: Path) -> None:
    again = tmp_path / "again.txt"
    again.write_text("the same, again")
    runs = [
        json.loads(run("submit", "checksum", str(again), "--wait", "--json", *more).stdout)
        for more in ((), (), ("--no-reuse",))
    ]

    shown = run("jobs", "show", runs[1]["job_id"])

    assert f"reused from  {runs[0]['job_id']}" in shown.stdout
    assert [job["status"] for job in runs] == ["succeeded"] * 3
    assert [job["attempt"] for job in runs] == [1, 0, 1]
    assert [job["reused_from"] for job in runs] == [None, runs[0]["job_id"], None]
    assert len({job["outputs"][0]["sha256"] for job in runs}) == 1


def written(path: Path, document: object) -> str:
    path.write_text(json.dumps(document))
    return str(path)


def test_a_workflow_is_submitted_watched_shown_and_drawn(run: Run, tmp_path: Path) -> None:
    texts = [{"id": name, "tool": "qr-maker", "options": {"text": name}} for name in ("a", "b")]
    taken = [{"step": name, "output": "*"} for name in ("a", "b")]
    named = [{"input": "letter"}, *taken]
    steps = [*texts, {"id": "sums", "tool": "checksum", "inputs": named}]
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all")
    document = written(tmp_path / "flow.json", {"name": "Codes and sums", "steps": steps})

    nameless = run("workflows", "submit", document)
    submitted = run("workflows", "submit", document, "--input", f"letter={letter}")
    assert nameless.returncode == EXIT_USAGE
    assert submitted.returncode == 0, submitted.stderr
    workflow_id = submitted.stdout.strip()
    watched = run("workflows", "watch", workflow_id)
    shown = run("workflows", "show", workflow_id)
    view = json.loads(run("workflows", "show", workflow_id, "--json").stdout)
    listed = run("workflows", "list", "--status", "succeeded")
    late = run("workflows", "cancel", workflow_id, "--json")

    assert watched.returncode == 0, watched.stderr
    assert "succeeded, 3 of 3 steps ended" in watched.stderr
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["status", "succeeded"] in lines
    assert ["sums", "checksum", "succeeded", "1", "of", "1"] in [line[:6] for line in lines]
    assert [step["status"] for step in view["steps"]] == ["succeeded"] * 3
    assert view["name"] == "Codes and sums"
    job_id = view["steps"][2]["jobs"][0]["job_id"]
    job = json.loads(run("jobs", "show", job_id, "--json").stdout)
    assert (job["workflow_id"], job["step"]) == (workflow_id, "sums")
    its = json.loads(run("jobs", "list", "--workflow", workflow_id, "--json").stdout)
    assert [each["step"] for each in its][:1] == ["sums"]
    assert sorted(each["step"] for each in its) == ["a", "b", "sums"]
    inputs = job["inputs"]
    assert [file["name"] for file in inputs][:1] == ["letter.txt"]
    assert len(inputs) == 3
    assert workflow_id in listed.stdout
    assert json.loads(late.stderr)["code"] == "WORKFLOW_IS_FINAL"


def test_a_batch_that_fails_is_tried_again(run: Run, tmp_path: Path) -> None:
    jobs = [{"tool": "no-op"}, {"tool": "no-op", "options": {"outcome": "permanent"}}]
    document = written(tmp_path / "batch.json", {"jobs": jobs})

    workflow_id = run("workflows", "submit", document).stdout.strip()
    failed = run("workflows", "watch", workflow_id)
    retried = run("workflows", "retry", workflow_id)
    again = run("workflows", "watch", workflow_id, "--json")

    assert failed.returncode == EXIT_JOB_FAILED
    assert "JOBS_FAILED" in failed.stdout
    assert retried.returncode == 0, retried.stderr
    view = json.loads(again.stdout)
    assert (view["kind"], view["status"], view["round"]) == ("batch", "failed", 2)
    assert [step["round"] for step in view["steps"]] == [1, 2]
    alone = run("jobs", "retry", view["steps"][1]["jobs"][0]["job_id"], "--json")
    refused = json.loads(alone.stderr)
    assert (refused["code"], refused["details"]["workflow_id"]) == ("JOB_OF_WORKFLOW", workflow_id)


def test_a_workflow_that_makes_no_sense_is_refused_with_its_field(run: Run, tmp_path: Path) -> None:
    steps = [{"id": "a", "tool": "no-op", "after": ["b"]}]

    unknown = run("workflows", "submit", written(tmp_path / "flow.json", {"steps": steps}))
    no_object = run("workflows", "submit", written(tmp_path / "list.json", steps))

    assert unknown.returncode == EXIT_REFUSED
    assert "steps.0.after.0" in unknown.stderr
    assert no_object.returncode == EXIT_USAGE
