"""I4: a rebuild of every read model under load gives tables equal to the live ones."""

import subprocess
import sys
import threading

import pytest

from tests.acceptance.yard import Yard, yard_of
from tests.fixtures.deadlines import wait_until
from tests.fixtures.platform import PlatformFactory

REBUILD_SECONDS = 180
JOBS_BEFORE = 100
TABLES = ("job_summary", "job_timeline", "tool_catalogue", "job_counters", "outcome_counters")

pytestmark = [pytest.mark.drill, pytest.mark.timeout(600)]


def rows(yard: Yard, table: str) -> list[str]:
    found = yard.query(f"SELECT to_jsonb(t)::text AS row FROM read_models.{table} t ORDER BY 1")
    return [row["row"] for row in found]


def rebuild(yard: Yard) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infrastructure.cli.main", "projections", "rebuild"],
        env={
            "DATABASE_URL": yard.database_url,
            "REDIS_URL": yard.redis_url,
            "NATS_URL": yard.nats_url,
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        timeout=REBUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def is_caught_up(yard: Yard) -> bool:
    with yard.client() as client:
        shown = client.get(f"{yard.platform.query_url}/api/v1/projections").json()
    head = yard.positions()[-1]
    return all(item["position"] >= head for item in shown["items"])


def test_a_rebuild_under_load_gives_tables_equal_to_the_live_ones(
    platform_factory: PlatformFactory,
) -> None:
    with yard_of(platform_factory()) as yard:
        jobs = [yard.submit() for _ in range(JOBS_BEFORE)]
        jobs.append(yard.submit({"outcome": "permanent"}))
        stop = threading.Event()

        def go_on() -> None:
            while not stop.is_set():
                jobs.append(yard.submit())

        load = threading.Thread(target=go_on)
        load.start()
        try:
            rebuild(yard)
            during = len(jobs)
            rebuild(yard)
        finally:
            stop.set()
            load.join()
        assert during > JOBS_BEFORE + 1, "there was no load"
        yard.wait_for_all(jobs)
        wait_until(lambda: is_caught_up(yard), "the projections do not catch up", 60)

        live = {table: rows(yard, table) for table in TABLES}
        rebuild(yard)
        again = {table: rows(yard, table) for table in TABLES}

        for table in TABLES:
            assert again[table] == live[table], f"{table} differs after a rebuild"
        assert len(live["job_summary"]) == len(jobs)


def test_read_models_that_somebody_emptied_come_back(platform_factory: PlatformFactory) -> None:
    with yard_of(platform_factory()) as yard:
        jobs = [yard.submit() for _ in range(20)]
        yard.wait_for_all(jobs)
        wait_until(lambda: is_caught_up(yard), "the projections do not catch up", 60)
        live = {table: rows(yard, table) for table in TABLES}
        generations = yard.query(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
            "WHERE schemaname = 'read_models' AND tablename LIKE 'job_summary%'"
        )
        yard.query(f"TRUNCATE {', '.join(table['name'] for table in generations)}")
        assert len(live["job_summary"]) == len(jobs)

        rebuild(yard)

        assert {table: rows(yard, table) for table in TABLES} == live
