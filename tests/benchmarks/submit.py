"""POST /jobs with authentication, against a FastAPI route that submits a Celery task.

Both run in one uvicorn process with pydantic bodies and answer 32 keep-alive connections of a load
process; no worker runs. Ours checks a token, validates options, seals them and answers after the
commit is on disk; Celery's broker and result backend are on the embedded Valkey, without
authentication and without a sync. Rounds are interleaved.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.benchmarks.http_load import Answers, Load, put_on
from tests.benchmarks.services import (
    NO_OP_BODY,
    environment,
    free_port,
    offer_no_op,
    peer_environment,
    process,
    service,
    token,
    wait_until_answering,
)
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row, Sense, median

ROUNDS = 3
SECONDS = 4.0
CONNECTIONS = 32
ACCEPTED = 202


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    url = stand.new_database("bench_submit")
    offer_no_op(url)
    ours: list[Answers] = []
    peers: list[Answers] = []
    told = environment(stand, url)
    with service("command-api", stand, told) as command_url, celery_api(stand) as peer_url:
        bearer = {"authorization": f"Bearer {token(command_url)}"}
        our_load = load(command_url, "/api/v1/jobs", bearer)
        peer_load = load(peer_url, "/jobs", {})
        for number in range(ROUNDS):
            say(f"submit: round {number + 1} of {ROUNDS}")
            ours.append(put_on(our_load))
            peers.append(put_on(peer_load))
    return _rows(ours, peers)


def load(url: str, path: str, headers: dict[str, str]) -> Load:
    """The load on one of the two."""
    parts = urlsplit(url)
    return Load(
        host=parts.hostname or "",
        port=parts.port or 0,
        path=path,
        headers=headers,
        body=NO_OP_BODY,
        connections=CONNECTIONS,
        seconds=SECONDS,
        expected_status=ACCEPTED,
    )


@contextmanager
def celery_api(stand: Stand) -> Iterator[str]:
    """The comparator, ready."""
    told = peer_environment(stand)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.peers.celery_api:app"]
    command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    log = stand.folder / "celery-api.log"
    with process(command, told, log) as running:
        url = f"http://127.0.0.1:{port}"
        wait_until_answering(url, running, log)
        yield url


def _rows(ours: list[Answers], peers: list[Answers]) -> list[Row]:
    def middle(answers: list[Answers], what: str, unit: str) -> Figure:
        return Figure(median([getattr(answer, what) for answer in answers]), unit)

    name, beside = "POST /jobs, 32 connections", "FastAPI + Celery, sync route"
    return [
        Row(
            name,
            middle(ours, "per_second", "/s"),
            beside,
            middle(peers, "per_second", "/s"),
            bar=5,
        ),
        Row("  p50", middle(ours, "p50_ms", "ms"), beside, middle(peers, "p50_ms", "ms")),
        Row(
            "  p99",
            middle(ours, "p99_ms", "ms"),
            beside,
            middle(peers, "p99_ms", "ms"),
            sense=Sense.AT_MOST,
            bar=0.33,
        ),
    ]
