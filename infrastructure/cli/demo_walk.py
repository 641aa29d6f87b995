"""One photo's way through a running platform, over its HTTP APIs, told as it happens."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx

from infrastructure.cli.photo import photo
from infrastructure.cli.platform_plan import PlatformPlan
from infrastructure.embedded.errors import EmbeddedError

JOB_SECONDS_MAX = 60.0
REQUEST_SECONDS_MAX = 40.0
WAIT_SECONDS = 1
FINAL = ("succeeded", "failed", "cancelled")


class DemoFailed(EmbeddedError):
    """The demo did not end as it should."""


async def walk(plan: PlatformPlan, output: Path) -> None:
    """Take one photo through the platform and leave the result in `output`."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=REQUEST_SECONDS_MAX) as http:
            await _Walk(http, plan, output).run()
    except httpx.HTTPError as error:
        raise DemoFailed(f"an API did not answer: {error!r}") from error


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
