"""`magictoolbox demo`: a throw-away platform turns one photo into a WebP, and shows how.

Everything goes through the HTTP APIs, as a client would do it. Exits 0 when the result is there,
else 1 with the reason; the result stays, the platform and its folder do not.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from infrastructure.cli.photo import photo
from infrastructure.cli.platform import platform
from infrastructure.cli.platform_plan import PlatformPlan, Wishes
from infrastructure.cli.up import run_to_the_end, tell
from infrastructure.embedded.errors import EmbeddedError
from infrastructure.logging import configure_logging

JOB_SECONDS_MAX = 60.0
REQUEST_SECONDS_MAX = 40.0
WAIT_SECONDS = 1
FINAL = ("succeeded", "failed", "cancelled")


class DemoFailed(EmbeddedError):
    """The demo did not end as it should."""


def demo(
    output: Annotated[Path, typer.Option(help="Where the result is left.")] = Path("demo-output"),
) -> None:
    """Start a throw-away platform, convert one photo through its APIs, show the history."""
    configure_logging("demo", "WARNING", out=sys.stderr.buffer)
    sys.exit(run_to_the_end(_demo(output)))


async def _demo(output: Path) -> None:
    began = time.monotonic()
    data_dir = Path(tempfile.mkdtemp(prefix="magictoolbox-demo-"))
    try:
        async with platform(data_dir, Wishes(), tell) as plan:
            print(f"the platform is ready after {time.monotonic() - began:.1f} s", flush=True)
            async with httpx.AsyncClient(trust_env=False, timeout=REQUEST_SECONDS_MAX) as http:
                await _Walk(http, plan, output).run()
    except httpx.HTTPError as error:
        raise DemoFailed(f"an API did not answer: {error!r}") from error
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)
    print(f"everything is stopped again; it took {time.monotonic() - began:.1f} s in all")


class _Walk:
    """One job's way through the house, told as it happens."""

    def __init__(self, http: httpx.AsyncClient, plan: PlatformPlan, output: Path) -> None:
        self._http = http
        self._plan = plan
        self._output = output

    async def run(self) -> None:
        """Log in, submit, watch, download, read the history."""
        await self._log_in()
        accepted = await self._submit()
        job = await self._watch(accepted["job_id"], accepted["position"])
        await self._download(job)
        await self._history(accepted["job_id"])

    async def _log_in(self) -> None:
        login = {
            "username": self._plan.environment["ADMIN_USERNAME"],
            "password": self._plan.environment["ADMIN_PASSWORD"],
        }
        url = f"{self._plan.command_url}/api/v1/auth/token"
        token = _json(await self._http.post(url, data=login))["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        print(f"logged in as {login['username']}")

    async def _submit(self) -> dict[str, Any]:
        content = await asyncio.to_thread(photo)
        url = f"{self._plan.command_url}/api/v1/tools/image-converter/process"
        files = {"file": ("photo.jpg", content, "image/jpeg")}
        accepted = _json(await self._http.post(url, files=files), status=202)
        print(f"sent photo.jpg, {len(content):,} bytes")
        print(f"accepted as job {accepted['job_id']} at position {accepted['position']}")
        return accepted

    async def _watch(self, job_id: str, position: int) -> dict[str, Any]:
        url = f"{self._plan.query_url}/api/v1/jobs/{job_id}"
        shown, deadline = "", time.monotonic() + JOB_SECONDS_MAX
        while time.monotonic() < deadline:
            query = {"min_position": position, "wait": WAIT_SECONDS}
            job = _json(await self._http.get(url, params=query))
            if (line := _progress(job)) != shown:
                print(line, flush=True)
                shown = line
            if job["status"] in FINAL:
                return job
        raise DemoFailed(f"the job did not end within {JOB_SECONDS_MAX:.0f} s; it is {shown}")

    async def _download(self, job: dict[str, Any]) -> None:
        if job["status"] != "succeeded":
            raise DemoFailed(f"the job {job['status']}: {job['error']}")
        (result,) = job["outputs"]
        answer = await self._http.get(result["url"])
        if answer.status_code != httpx.codes.OK:
            raise DemoFailed(f"the result could not be fetched: {answer.status_code}")
        self._output.mkdir(parents=True, exist_ok=True)
        path = self._output / Path(result["name"]).name
        path.write_bytes(answer.content)
        print(f"the result is {path.absolute()}")
        print(f"  {result['media_type']}, {result['size_bytes']:,} bytes, {result['sha256']}")

    async def _history(self, job_id: str) -> None:
        url = f"{self._plan.query_url}/api/v1/jobs/{job_id}/events"
        print("what the log says about it:")
        for event in _json(await self._http.get(url))["items"]:
            print(f"  {event['position']:>4}  {event.get('occurred_at', '')}  {_name(event)}")


def _progress(job: dict[str, Any]) -> str:
    attempt = f", attempt {job['attempt']}" if job.get("attempt") else ""
    return f"  {job['status']}{attempt}"


def _name(event: dict[str, Any]) -> str:
    return str(event.get("topic") or event.get("type"))


def _json(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    if answer.status_code != status:
        raise DemoFailed(
            f"{answer.request.method} {answer.request.url.path} answered {answer.status_code} "
            f"and not {status}: {answer.text[:500]}"
        )
    parsed: dict[str, Any] = answer.json()
    return parsed
