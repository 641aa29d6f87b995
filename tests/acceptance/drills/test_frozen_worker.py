"""I2: a worker frozen past its lease wakes up, and its late outcome changes nothing."""

import signal

import pytest

from tests.acceptance.yard import Yard, yard_of
from tests.factories.files import photo_jpeg
from tests.fixtures.deadlines import wait_until
from tests.fixtures.platform import PlatformFactory

WORKERS = ("worker-1", "worker-2")
NO_OP_SECONDS = 6.0
RESCUE_SECONDS = 90.0

pytestmark = [pytest.mark.drill, pytest.mark.timeout(300)]


def has_started(yard: Yard, name: str, job_id: str) -> bool:
    """Whether the log of that worker tells that it runs the job."""
    lines = yard.platform.log(name).splitlines()
    return any(job_id in line and "tool_processing_started" in line for line in lines)


def holder(yard: Yard, job_id: str) -> str:
    """The name of the worker process that runs the job, once one does."""

    def starters() -> list[str]:
        return [name for name in WORKERS if has_started(yard, name, job_id)]

    wait_until(lambda: bool(starters()), "no worker starts the job", story=yard.platform.story)
    return starters()[0]


@pytest.mark.parametrize("away", [None, "postgres", "nats"])
def test_a_worker_frozen_past_its_lease_is_refused_when_it_wakes(
    platform_factory: PlatformFactory, away: str | None
) -> None:
    with yard_of(platform_factory(workers=2)) as yard:
        job_id = yard.submit({"seconds": NO_OP_SECONDS})
        name = holder(yard, job_id)
        yard.platform.kill(name, signal.SIGSTOP)
        if away is not None:
            killed = yard.platform.kill(away)
            yard.platform.wait_for_another(away, killed)

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
