"""I1, I3: `kill -9` of everything at once loses no accepted job and leaves no hole."""

import threading
from collections.abc import Callable

import httpx
import pytest

from tests.acceptance.yard import ACCEPTED, Yard, yard_of
from tests.fixtures.platform import PlatformFactory

SUBMITTERS = 4
KILLS = 3
ACCEPTED_BEFORE_A_KILL = 40
SECONDS_MAX = 60.0

pytestmark = [pytest.mark.drill, pytest.mark.timeout(600)]


class Submitters:
    """Threads that submit until told to stop, and remember what was accepted."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._stop = threading.Event()
        self._enough = threading.Event()
        self.accepted: list[str] = []
        self._threads = [threading.Thread(target=self._submit) for _ in range(SUBMITTERS)]

    def run_while(self, act: Callable[[], None]) -> None:
        """Submit; act once enough was accepted; stop."""
        for thread in self._threads:
            thread.start()
        try:
            assert self._enough.wait(SECONDS_MAX), "the platform accepts nothing"
            act()
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _submit(self) -> None:
        with self._yard.client() as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(
                        f"{self._yard.platform.command_url}/api/v1/jobs", json={"tool": "no-op"}
                    )
                except httpx.HTTPError:
                    continue
                if answer.status_code == ACCEPTED:
                    self.accepted.append(answer.json()["job_id"])
                if len(self.accepted) >= ACCEPTED_BEFORE_A_KILL:
                    self._enough.set()


def test_killing_everything_at_once_loses_no_accepted_job(
    platform_factory: PlatformFactory,
) -> None:
    with yard_of(platform_factory()) as yard:
        accepted: list[str] = []
        for _ in range(KILLS):
            yard.headers()
            submitters = Submitters(yard)
            submitters.run_while(yard.platform.kill_all)
            accepted += submitters.accepted
            yard.platform.start()

        yard.wait_for_all(accepted)

        positions = yard.positions()
        assert positions == list(range(1, len(positions) + 1))
        ends = [str(row["originator_id"]) for row in yard.ends(accepted)]
        assert sorted(ends) == sorted(accepted), "a job ended twice"
        for job_id in (accepted[0], accepted[-1]):
            assert yard.wait_for(job_id)["status"] == "succeeded"
