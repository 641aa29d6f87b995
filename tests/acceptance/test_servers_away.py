"""With PostgreSQL away nothing is accepted; without NATS or Redis everything goes on."""

import signal

import httpx
import psutil
import pytest

from tests.acceptance.yard import ACCEPTED, Yard, yard_of
from tests.fixtures.deadlines import wait_until
from tests.fixtures.platform import PlatformFactory

pytestmark = [pytest.mark.drill, pytest.mark.timeout(240)]


def test_each_server_may_go_away(platform_factory: PlatformFactory) -> None:
    """One platform for all three: starting one is what takes time."""
    with yard_of(platform_factory()) as yard:
        job_id = yard.submit()
        yard.wait_for(job_id)
        redis_away(yard)
        nats_away(yard)
        postgres_away(yard)


def postgres_away(yard: Yard) -> None:
    before = yard.positions()
    signal_all(yard, "postgres", signal.SIGSTOP)
    try:
        submitted = yard.try_submit(key="while-postgres-is-away")
        with yard.client() as client:
            asked = client.get(f"{yard.platform.query_url}/api/v1/jobs")
            ready = client.get(f"{yard.platform.command_url}/ready")
    finally:
        signal_all(yard, "postgres", signal.SIGCONT)

    for answer in (submitted, asked):
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["code"] == "SERVICE_UNAVAILABLE"
    assert ready.status_code == httpx.codes.SERVICE_UNAVAILABLE
    again = eventually_accepted(yard, "while-postgres-is-away")
    yard.wait_for(again)
    submissions = yard.query(
        "SELECT notification_id FROM event_store.stored_events "
        "WHERE topic = 'magictoolbox.job.submitted' AND notification_id > %s",
        before[-1],
    )
    assert len(submissions) == 1, "the retry under the same key is the same job"


def signal_all(yard: Yard, name: str, what: signal.Signals) -> None:
    """PostgreSQL is many processes; a frozen first one would leave the others at work."""
    first = psutil.Process(yard.platform.pid(name))
    for process in (first, *first.children(recursive=True)):
        process.send_signal(what)


def eventually_accepted(yard: Yard, key: str) -> str:
    answers: list[httpx.Response] = []

    def accepted() -> bool:
        answers.append(yard.try_submit(key=key))
        return answers[-1].status_code == ACCEPTED

    wait_until(accepted, "nothing is accepted after PostgreSQL is back", 60, yard.platform.story)
    return str(answers[-1].json()["job_id"])


def nats_away(yard: Yard) -> None:
    yard.platform.kill("nats", signal.SIGSTOP)
    try:
        job_id = yard.submit()
        with yard.client() as client:
            answer = client.get(f"{yard.platform.query_url}/api/v1/jobs")
        assert answer.status_code == httpx.codes.OK
    finally:
        yard.platform.kill("nats", signal.SIGCONT)
    assert yard.wait_for(job_id)["status"] == "succeeded"


def redis_away(yard: Yard) -> None:
    yard.platform.kill("valkey", signal.SIGSTOP)
    try:
        job_id = yard.submit()
        assert yard.wait_for(job_id)["status"] == "succeeded", "reads fall back to PostgreSQL"
    finally:
        yard.platform.kill("valkey", signal.SIGCONT)
