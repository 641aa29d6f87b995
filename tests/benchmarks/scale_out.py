"""Jobs a second with 1, 2 and 4 worker processes: jobs that do nothing, and jobs that compute.

The computing ones convert photos of the size that phones take, in workers of one slot each; the bar
stands where a machine has a core for each of two workers.
"""

import time
from contextlib import ExitStack

import httpx

from tests.benchmarks.end_to_end import run
from tests.benchmarks.services import environment, service, token
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row
from tests.factories.files import photo_jpeg

WORKERS = (1, 2, 4)
NO_OPS = 3_000
PHOTO_SIDES = (4_000, 3_000)
PHOTOS = 24
BAR_FOR_TWO = 1.7
SECONDS_MAX = 180.0
POLL_SECONDS = 0.2
BASE = ("relay", "dispatcher", "projector")


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    no_ops: dict[int, float] = {}
    photos: dict[int, float] = {}
    # One database for all rounds: the stream follows one log.
    url = stand.new_database("bench_scale_out")
    for workers in WORKERS:
        say(f"scale out: {workers} workers, no-op")
        no_ops[workers] = _no_ops(stand, url, workers)
        say(f"scale out: {workers} workers, photos")
        photos[workers] = _photos(stand, url, workers)
    return [*_rows("no-op jobs", no_ops, None), *_rows("photos converted", photos, BAR_FOR_TWO)]


def _no_ops(stand: Stand, url: str, workers: int) -> float:
    told = environment(stand, url)
    with ExitStack() as stack:
        for name in (*BASE, *["worker"] * workers):
            stack.enter_context(service(name, stand, told))
        run(stand, url, NO_OPS // 10)
        return run(stand, url, NO_OPS)["jobs"]


def _photos(stand: Stand, url: str, workers: int) -> float:
    told = environment(stand, url) | {"WORKER_SLOTS": "1"}
    with ExitStack() as stack:
        command_url = stack.enter_context(service("command-api", stand, told))
        query_url = stack.enter_context(service("query-api", stand, told))
        for name in (*BASE, *["worker"] * workers):
            stack.enter_context(service(name, stand, told))
        headers = {"Authorization": f"Bearer {token(command_url)}"}
        with httpx.Client(headers=headers, trust_env=False, timeout=SECONDS_MAX) as client:
            _convert(client, command_url, query_url, workers)
            return _convert(client, command_url, query_url, PHOTOS)


def _convert(client: httpx.Client, command_url: str, query_url: str, photos: int) -> float:
    """So many photos a second."""
    number = str(time.monotonic_ns())
    body = {
        "tool": "image-converter",
        # Its encoder uses one core; that of AVIF would use all of them in one worker already.
        "options": {"output_format": "webp"},
        "labels": {"round": number},
    }
    # Of the same bytes there would be a result already; what follows a picture changes nothing.
    photo, uploads = photo_jpeg(*PHOTO_SIDES), []
    for each in range(photos):
        files = {"file": ("photo.jpg", photo + f"{number} {each}".encode())}
        uploads.append(client.post(f"{command_url}/api/v1/uploads", files=files).json())
    began = time.perf_counter()
    for upload in uploads:
        inputs = [{"upload_id": upload["upload_id"]}]
        client.post(f"{command_url}/api/v1/jobs", json=body | {"inputs": inputs}).raise_for_status()
    wanted = {"label": f"round:{number}", "status": "succeeded", "limit": 200}
    while time.perf_counter() - began < SECONDS_MAX:
        done = client.get(f"{query_url}/api/v1/jobs", params=wanted).json()["items"]
        if len(done) >= photos:
            return photos / (time.perf_counter() - began)
        time.sleep(POLL_SECONDS)
    raise TimeoutError("the photos are not converted")


def _rows(what: str, found: dict[int, float], bar: float | None) -> list[Row]:
    one = Figure(found[1], "/s")
    return [
        Row(f"{what}, 1 worker", one),
        Row(f"{what}, 2 workers", Figure(found[2], "/s"), "1 worker", one, bar=bar),
        Row(f"{what}, 4 workers", Figure(found[4], "/s"), "1 worker", one),
    ]
