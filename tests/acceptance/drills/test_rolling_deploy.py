"""A deploy: the workers are restarted one after the other under load, and nobody notices."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.acceptance.yard import ACCEPTED, EVENTS, Yard, yard_of
from tests.fixtures.platform import PlatformFactory

WORKERS = 3
SUBMITTERS = 2
DRAIN_SECONDS = 10
"""Half of the default; a server that is away for longer than a drain does burn attempts."""
LONGER_THAN_A_DRAIN = 2.5 * DRAIN_SECONDS
END_SECONDS = 120.0
BURNED = f"""
SELECT count(*) AS n FROM {EVENTS} WHERE topic = 'magictoolbox.job.attempt_expired'
   OR (topic = 'magictoolbox.job.attempt_started'
       AND (convert_from(state, 'UTF8')::jsonb ->> 'attempt')::int > 1)
"""

pytestmark = [pytest.mark.drill, pytest.mark.timeout(600)]


@contextmanager
def load(yard: Yard) -> Iterator[list[str]]:
    """Jobs of all lengths come in meanwhile; those that were accepted."""
    accepted: list[str] = []
    is_over = threading.Event()

    def submit(number: int) -> None:
        with yard.client() as client:
            while not is_over.is_set():
                seconds = LONGER_THAN_A_DRAIN if len(accepted) % 25 == number else 0.3
                body = {"tool": "no-op", "options": {"seconds": seconds}}
                url = f"{yard.platform.command_url}/api/v1/jobs"
                try:
                    answer = client.post(url, json=body)
                except httpx.HTTPError:
                    continue
                if answer.status_code == ACCEPTED:
                    accepted.append(answer.json()["job_id"])
                # A steady load, not a flood that would outlast the drill.
                is_over.wait(0.05)

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(SUBMITTERS)]
    for thread in threads:
        thread.start()
    try:
        yield accepted
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("away", [None, "postgres", "nats"])
def test_a_rolling_restart_under_load_loses_nothing_and_burns_no_attempt(
    platform_factory: PlatformFactory, away: str | None
) -> None:
    environment = {"DRAIN_SECONDS": str(DRAIN_SECONDS)}
    with yard_of(platform_factory(workers=WORKERS, environment=environment)) as yard:
        yard.headers()
        with load(yard) as accepted:
            for number in range(1, WORKERS + 1):
                name = f"worker-{number}"
                leaving = yard.platform.kill(name, signal.SIGTERM)
                if away is not None and number == 2:
                    killed = yard.platform.kill(away)
                    yard.platform.wait_for_another(away, killed)
                yard.platform.wait_for_another(name, leaving)

        yard.wait_for_all(accepted, END_SECONDS)

        assert accepted
        ends = [row["topic"].rpartition(".")[2] for row in yard.ends(accepted)]
        assert ends == ["attempt_succeeded"] * len(accepted)
        handed_back = yard.query(
            f"SELECT count(*) AS n FROM {EVENTS}"
            " WHERE topic = 'magictoolbox.job.attempt_handed_back'"
        )
        assert handed_back[0]["n"] > 0, "no job was longer than a drain: the drill shows nothing"
        assert yard.query(BURNED)[0]["n"] == 0
