"""Waits for the end of a job and fetches what it left."""

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from infrastructure.cli.client import Client, segment
from infrastructure.cli.display import say
from infrastructure.cli.failures import BadArgument, CommandFailed, JobNotSucceeded

WAIT_SECONDS: Final = 25
FINAL: Final = frozenset({"succeeded", "failed", "cancelled"})
SUCCEEDED: Final = "succeeded"

Job = dict[str, Any]


class NoResult(CommandFailed):
    """The result is no longer there."""

    exit_code = JobNotSucceeded.exit_code


def wait_for_end(client: Client, job_id: str, changed: Callable[[Job], None]) -> Job:
    """The job as it ended; `changed` is told of every state on the way that was seen."""
    seen = -1
    while True:
        # The first look is at once, so that there is something to show.
        job = client.query(f"/jobs/{segment(job_id)}", wait=WAIT_SECONDS if seen >= 0 else None)
        if job["version"] != seen:
            seen = job["version"]
            changed(job)
        if job["status"] in FINAL:
            return job


def say_state(job: Job) -> None:
    """One line for people about where the job is."""
    attempt = f", attempt {job['attempt']} of {job['attempts_max']}" if job["attempt"] else ""
    why = f": {job['error']['message'] or job['error']['code']}" if job["error"] else ""
    say(f"{job['status']}{attempt}{why}")


def require_success(job: Job) -> None:
    """Raise JobNotSucceeded unless the job has succeeded."""
    if job["status"] != SUCCEEDED:
        raise JobNotSucceeded(f"the job {job['status']}")


def fetch_zip(client: Client, job: Job, target: Path) -> Path:
    """Write the outputs of a job that succeeded as one archive; returns where it is."""
    url = job["links"].get("outputs_zip")
    if url is None:
        raise NoResult("there is no result, or not one that can be had as one ZIP")
    path = target / f"{job['tool']}-{job['job_id']}.zip" if target.is_dir() else target
    path.parent.mkdir(parents=True, exist_ok=True)
    client.download_zip(url, job["outputs"], path)
    return path


def fetch_outputs(client: Client, job: Job, target: Path) -> list[Path]:
    """Write the outputs of a job that succeeded; returns where they are."""
    outputs = job["outputs"]
    if any(output["url"] is None for output in outputs):
        raise NoResult("the result has expired or was erased")
    paths = _paths(outputs, target)
    for output, path in zip(outputs, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download(output, path)
    return paths


def _paths(outputs: list[Mapping[str, Any]], target: Path) -> list[Path]:
    if target.is_dir() or len(outputs) != 1:
        if target.exists() and not target.is_dir():
            raise BadArgument(f"there are {len(outputs)} results and {target} is no folder")
        return [target / local_name(output["name"]) for output in outputs]
    return [target]


def local_name(name: str) -> str:
    """The last part of a name, so that no result can be written anywhere but into the folder."""
    last = PurePosixPath(name.replace("\\", "/").replace("\0", "")).name
    return last if last not in ("", ".", "..") else "result"
