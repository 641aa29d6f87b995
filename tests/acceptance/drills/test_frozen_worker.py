"""I2: a worker frozen past its lease wakes up, and its late outcome changes nothing."""

import signal
import time

import pytest

from tests.acceptance.yard import POLL_SECONDS, Yard, yard_of
from tests.factories.files import photo_jpeg
from tests.fixtures.deadlines import wait_until
from tests.fixtures.platform import PlatformFactory

NO_OP_SECONDS = 6.0
RESCUE_SECONDS = 40.0

pytestmark = [pytest.mark.drill, pytest.mark.timeout(300)]


def holder(yard: Yard, job_id: str) -> str:
    """The name of the worker process that runs the job now: the one whose log started it last."""
    started = [
        (line.index(job_id), name)
        for name in ("worker-1", "worker-2")
        for line in yard.platform.log(name).splitlines()
        if job_id in line and "tool_processing_started" in line
    ]
    assert started, "no worker has started the job"
    return started[-1][1]


def test_a_worker_frozen_past_its_lease_is_refused_when_it_wakes(
    platform_factory: PlatformFactory,
) -> None:
    with yard_of(platform_factory(workers=2)) as yard:
        job_id = yard.submit({"seconds": NO_OP_SECONDS})
        wait_until(lambda: "attempt_started" in yard.facts(job_id), "nobody claims the job")
        name = holder(yard, job_id)
        yard.platform.kill(name, signal.SIGSTOP)

        job = yard.wait_for(job_id, seconds=RESCUE_SECONDS)
        yard.platform.kill(name, signal.SIGCONT)

        assert job["status"] == "succeeded"
        wait_until(
            lambda: "outcome_refused" in yard.facts(job_id),
            "the late outcome is not on record",
            story=yard.platform.story,
        )
        facts = yard.facts(job_id)
        assert facts.count("attempt_succeeded") == 1
        assert facts.count("attempt_started") == 2
        assert facts[-1] == "outcome_refused"
        assert yard.job(job_id)["status"] == "succeeded"


def test_only_one_set_of_outputs_is_kept(platform_factory: PlatformFactory) -> None:
    """Two workers made the same picture; the blob store keeps what the log names."""
    with yard_of(platform_factory(workers=2)) as yard:
        with yard.client() as client:
            answer = client.post(
                f"{yard.platform.command_url}/api/v1/tools/image-converter/process",
                files={"file": ("photo.jpg", photo_jpeg(3000, 2000))},
                data={"options": '{"output_format": "avif"}'},
            )
        job_id = answer.json()["job_id"]
        deadline = time.monotonic() + RESCUE_SECONDS
        while "attempt_started" not in yard.facts(job_id) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        name = holder(yard, job_id)
        yard.platform.kill(name, signal.SIGSTOP)
        frozen_in_time = "attempt_succeeded" not in yard.facts(job_id)

        yard.wait_for(job_id, seconds=RESCUE_SECONDS)
        yard.platform.kill(name, signal.SIGCONT)

        if not frozen_in_time:
            pytest.fail("the picture was done before the worker was frozen; make it larger")
        wait_until(lambda: "outcome_refused" in yard.facts(job_id), "nothing was refused")
        named = {output["sha256"] for output in yard.job(job_id)["outputs"]}
        wait_until(lambda: len(blobs(yard)) == 1 + len(named), "blobs of the late outcome are left")


def blobs(yard: Yard) -> list[str]:
    """The files in the blob store."""
    folder = yard.platform.data_dir / "blobs"
    return [str(path) for path in folder.rglob("*") if path.is_file()]
