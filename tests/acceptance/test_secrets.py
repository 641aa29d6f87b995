"""A password in the options of a job: used once, shown to nobody, gone when the job has ended."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import redis

from events.contracts.workflow import step_job_id
from events.store.sealing import secrets_id
from processors.tools.registry import installed
from tests.acceptance.yard import Yard
from tests.fixtures.deadlines import wait_until
from tests.fixtures.platform import Platform

CANARY = f"canary-{uuid4().hex}"
BLOCK_BYTES = 4 * 1024**2
TEXT_TABLES = """
SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
 WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('information_schema', 'pg_catalog')
"""
pytestmark = pytest.mark.skipif(
    "archive-creator" not in {tool.name for tool in installed().available()},
    reason="the extra for archives is not installed",
)


def process(yard: Yard, tool: str, content: bytes, **options: str) -> dict[str, object]:
    """Run a tool on one file over HTTP and wait for its end."""
    with yard.client() as client:
        answer = client.post(
            f"{yard.platform.command_url}/api/v1/tools/{tool}/process",
            files={"file": ("a.zip", content)},
            data={"options": json.dumps(options)},
            headers={"Prefer": "wait=30", "Idempotency-Key": uuid4().hex},
        )
    assert answer.status_code in {200, 202, 422}, answer.text
    assert CANARY not in answer.text
    link = answer.headers["Location"]
    return yard.wait_for(link.rstrip("/").rpartition("/")[2])


def locked_zip() -> bytes:
    """A ZIP that some other password opens."""
    pyzipper = pytest.importorskip("pyzipper")
    stream = io.BytesIO()
    with pyzipper.AESZipFile(stream, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"another one")
        archive.writestr("a.txt", b"hello")
    return stream.getvalue()


def run_by_plan(yard: Yard, kind: str, plan: dict[str, object]) -> tuple[str, str]:
    """Have a secret used by a job of a workflow or of a schedule; returns the ids of both."""
    url = f"{yard.platform.command_url}/api/v1"
    with yard.client() as client:
        upload = client.post(f"{url}/uploads", files={"file": ("a.txt", b"hello")}).json()
        job = {
            "tool": "archive-creator",
            "options": {"output_format": "zip", "password": CANARY},
            "inputs": [{"upload_id": upload["upload_id"]}],
        }
        body = {"steps": [{"id": "only", **job}]} if kind == "workflows" else {"job": job, **plan}
        made = client.post(f"{url}/{kind}", json=body)
        assert made.is_success, made.text
        plan_id = str(made.json()["workflow_id" if kind == "workflows" else "schedule_id"])
        if kind == "schedules":
            return plan_id, str(client.post(f"{url}/schedules/{plan_id}/fire").json()["job_id"])
    return plan_id, str(step_job_id(UUID(plan_id), "only", 1, 0))


def keys_of(yard: Yard, job_id: str) -> int:
    """The keys that there are for a job's secrets."""
    subject = secrets_id(UUID(job_id))
    rows = yard.query("SELECT 1 FROM keys.subject_keys WHERE subject_id = %s", subject)
    return len(rows)


def test_a_password_is_used_and_is_nowhere_afterwards(platform: Platform) -> None:
    yard = Yard(platform)
    job = process(yard, "archive-creator", b"hello", output_format="zip", password=CANARY)
    assert job["status"] == "succeeded"
    failed = process(yard, "archive-extractor", locked_zip(), password=CANARY)
    assert failed["error"]["code"] == "WRONG_PASSWORD"  # type: ignore[index]
    workflow, step = run_by_plan(yard, "workflows", {})
    schedule, fired = run_by_plan(yard, "schedules", {"name": "Yearly", "cron": "0 0 1 1 *"})
    assert [yard.wait_for(each)["status"] for each in (step, fired)] == ["succeeded"] * 2
    ids = [str(job["job_id"]), str(failed["job_id"]), step, fired]
    ended = [*ids, workflow]
    wait_until(lambda: not any(keys_of(yard, each) for each in ended), "a secret is kept")
    assert keys_of(yard, schedule) == 1, "a schedule needs its secret until it is deleted"

    with yard.client() as client:
        plans = [
            client.get(f"{platform.query_url}/api/v1/{path}").text
            for path in (f"workflows/{workflow}", f"workflows/{workflow}/events")
        ]
        plans.append(client.get(f"{platform.query_url}/api/v1/schedules/{schedule}").text)
        client.delete(f"{platform.command_url}/api/v1/schedules/{schedule}").raise_for_status()
        (output,) = job["outputs"]  # type: ignore[misc]
        made = client.get(output["url"]).content
        shown = [
            client.get(f"{platform.query_url}/api/v1/jobs/{job_id}{part}").text
            for job_id in ids
            for part in ("", "/events", "?at=1", "/report")
        ]
    pyzipper = pytest.importorskip("pyzipper")
    with pyzipper.AESZipFile(io.BytesIO(made)) as archive:
        assert archive.read(archive.namelist()[0], pwd=CANARY.encode()) == b"hello"
    assert [text for text in (*shown, *plans) if CANARY in text] == []
    wait_until(lambda: not keys_of(yard, schedule), "a deleted schedule keeps its secret")
    assert [path for path in files_of(platform) if holds(path)] == []
    assert tables_with_it(yard) == []
    assert keys_with_it(yard) == []


def test_a_retry_after_the_end_says_that_the_password_is_gone(platform: Platform) -> None:
    yard = Yard(platform)
    failed = process(yard, "archive-extractor", locked_zip(), password=CANARY)
    job_id = str(failed["job_id"])
    wait_until(lambda: not keys_of(yard, job_id), "the secret is kept")

    with yard.client() as client:
        answer = client.post(f"{platform.command_url}/api/v1/jobs/{job_id}/retry")
    assert answer.status_code == 202, answer.text

    wait_until(
        lambda: (yard.job(job_id)["error"] or {}).get("code") == "SECRET_GONE",
        "the job does not fail for want of its password",
        story=lambda: str(yard.job(job_id)),
    )
    assert "submit the job anew" in yard.job(job_id)["error"]["message"]


def files_of(platform: Platform) -> Iterator[Path]:
    """Every file of the platform: the database's and NATS's own, logs, blobs, work folders."""
    for parent, _, names in os.walk(platform.data_dir):
        yield from (Path(parent) / name for name in names if (Path(parent) / name).is_file())


def holds(path: Path) -> bool:
    """Whether the bytes of a file hold the password; one that is gone by now does not."""
    before = b""
    try:
        with path.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                if CANARY.encode() in before + block:
                    return True
                before = block[-len(CANARY) :]
    except FileNotFoundError:
        pass
    return False


def tables_with_it(yard: Yard) -> list[str]:
    """What lies compressed in the database's files is read as rows, bytes as text too."""
    found = []
    for row in yard.query(TEXT_TABLES):
        hexed = CANARY.encode().hex()
        hits = yard.query(
            f"SELECT 1 FROM {row['name']} AS r WHERE r::text LIKE %s OR r::text LIKE %s LIMIT 1",
            f"%{CANARY}%",
            f"%{hexed}%",
        )
        found += [str(row["name"])] * len(hits)
    return found


def keys_with_it(yard: Yard) -> list[bytes]:
    """What Redis holds, as it would be dumped."""
    with redis.Redis.from_url(yard.redis_url) as client:
        names = list(client.scan_iter(count=1_000))
        return [n for n in names if CANARY.encode() in n + (client.dump(n) or b"")]
