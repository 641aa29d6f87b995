"""What a test does with a running platform: submit over HTTP, wait for ends, look at the truth.

The truth is read from PostgreSQL and JetStream directly, past all code of ours.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from infrastructure.embedded import nats, postgres, valkey
from tests.fixtures.platform import Platform

FINAL = {"succeeded", "failed", "cancelled"}
END_SECONDS = 120.0
POLL_SECONDS = 0.05
ACCEPTED = 202
OK = 200

EVENTS = "event_store.stored_events"


@dataclass
class Yard:
    """One platform, with a logged-in administrator."""

    platform: Platform
    _token: str = field(default="", repr=False)

    def headers(self) -> dict[str, str]:
        """The request header of the administrator; one login serves for the whole test."""
        if not self._token:
            self._token = self.platform.token()
        return {"Authorization": f"Bearer {self._token}"}

    def client(self, seconds: float = 60.0) -> httpx.Client:
        """A client that sends the header along."""
        return httpx.Client(headers=self.headers(), timeout=seconds, trust_env=False)

    def submit(self, options: Mapping[str, Any] | None = None, key: str | None = None) -> str:
        """Submit a no-op job; returns its id."""
        answer = self.try_submit(options, key)
        assert answer.status_code == ACCEPTED, answer.text
        return str(answer.json()["job_id"])

    def try_submit(
        self, options: Mapping[str, Any] | None = None, key: str | None = None
    ) -> httpx.Response:
        """Submit a no-op job and return whatever is answered."""
        headers = {"Idempotency-Key": key} if key else {}
        with self.client() as client:
            return client.post(
                f"{self.platform.command_url}/api/v1/jobs",
                json={"tool": "no-op", "options": dict(options or {})},
                headers=headers,
            )

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as the query API shows it."""
        with self.client() as client:
            answer = client.get(f"{self.platform.query_url}/api/v1/jobs/{job_id}")
        assert answer.status_code == OK, answer.text
        return dict(answer.json())

    def wait_for(
        self, job_id: str, statuses: set[str] = FINAL, seconds: float = END_SECONDS
    ) -> dict[str, Any]:
        """Wait until the query API shows the job in one of these states."""
        deadline = time.monotonic() + seconds
        shown: Any = None
        while time.monotonic() < deadline:
            try:
                shown = self.job(job_id)
            except (httpx.HTTPError, AssertionError) as error:
                shown = error
            else:
                if shown["status"] in statuses:
                    return dict(shown)
            time.sleep(POLL_SECONDS)
        raise AssertionError(
            f"job {job_id} is not {statuses} after {seconds} s: {shown}\n{self.platform.story()}"
        )

    def wait_for_all(self, job_ids: Sequence[str], seconds: float = END_SECONDS) -> None:
        """Wait until the log holds an end of each of these jobs."""
        deadline = time.monotonic() + seconds
        waiting: set[str] = set(job_ids)
        while waiting:
            assert time.monotonic() < deadline, (
                f"{len(waiting)} jobs have not ended, such as {sorted(waiting)[:3]}\n"
                f"{self.platform.story()}"
            )
            waiting -= {str(row["originator_id"]) for row in self.ends(sorted(waiting))}
            time.sleep(POLL_SECONDS)

    def ends(self, job_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The ending facts of these jobs, from the log itself."""
        return self.query(
            f"SELECT originator_id, topic FROM {EVENTS} WHERE originator_id = ANY(%s::uuid[]) AND ("
            "topic IN ('magictoolbox.job.attempt_succeeded', 'magictoolbox.job.cancelled') OR ("
            "topic = 'magictoolbox.job.attempt_failed' AND "
            "convert_from(state, 'UTF8')::jsonb ->> 'retry_at' IS NULL) OR ("
            "topic = 'magictoolbox.job.attempt_expired' AND "
            "NOT (convert_from(state, 'UTF8')::jsonb ->> 'requeued')::boolean))",
            list(job_ids),
        )

    def facts(self, job_id: str) -> list[str]:
        """The names of the facts of a job, in order, from the log itself."""
        rows = self.query(
            f"SELECT topic FROM {EVENTS} WHERE originator_id = %s ORDER BY originator_version",
            job_id,
        )
        return [str(row["topic"]).rpartition(".")[2] for row in rows]

    def positions(self) -> list[int]:
        """All positions of the log, in order."""
        rows = self.query(f"SELECT notification_id AS p FROM {EVENTS} ORDER BY 1")
        return [row["p"] for row in rows]

    def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Ask PostgreSQL itself."""
        with psycopg.connect(self.database_url, row_factory=dict_row, autocommit=True) as session:
            answer = session.execute(statement, values or None)  # type: ignore[arg-type]
            return answer.fetchall() if answer.description else []

    @property
    def database_url(self) -> str:
        """The embedded PostgreSQL."""
        lines = (self._home("postgres") / "cluster" / "postmaster.pid").read_text().splitlines()
        return postgres.url(int(lines[3]), self.platform.secret("postgres_password"))

    @property
    def nats_url(self) -> str:
        """The embedded NATS."""
        text = (self._home("nats") / "nats.conf").read_text()
        found = re.search(r'(?m)^\s*(?:port|listen)\s*[:=]?\s*"?(?:[\d.]+:)?(\d+)', text)
        assert found, text
        return nats.url(int(found[1]), self.platform.secret("nats_password"))

    @property
    def redis_url(self) -> str:
        """The embedded Valkey."""
        found = re.search(r"(?m)^port (\d+)", (self._home("valkey") / "valkey.conf").read_text())
        assert found
        return valkey.url(int(found[1]), self.platform.secret("valkey_password"))

    def _home(self, server: str) -> Any:
        return self.platform.data_dir / server


@contextmanager
def yard_of(platform: Platform) -> Iterator[Yard]:
    """The yard of a platform that is started here and ended after."""
    platform.start()
    try:
        yield Yard(platform)
    finally:
        platform.stop()
