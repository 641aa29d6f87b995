"""The three servers live and die with their supervisor, and keep what was committed."""

import os
import re
import signal
import stat
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded.data_folder import DataFolder
from infrastructure.embedded.orphans import working_in
from infrastructure.embedded.ports import PortClaims
from infrastructure.embedded.secrets_file import load_or_draw
from infrastructure.embedded.servers import Endpoints, plan_servers
from tests.fixtures.deadlines import wait_until
from tests.integration.embedded.holder import SERVERS, Holder


def commit_a_row(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("CREATE TABLE IF NOT EXISTS kept (one int)")
        session.execute("INSERT INTO kept VALUES (1)")


def rows(url: str) -> int:
    with psycopg.connect(url) as session:
        row = session.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def answers(url: str) -> bool:
    try:
        return rows(url) > 0
    except psycopg.OperationalError:
        return False


def without_ports(said: dict[str, object]) -> list[str]:
    """The addresses but their ports: free ones, which may be others at the next start."""
    urls = [str(said[name]) for name in ("database_url", "nats_url", "redis_url")]
    return [re.sub(r":\d+(/|$)", "", url) for url in urls]


def test_a_restart_finds_passwords_and_rows_again(tmp_path: Path) -> None:
    with Holder(tmp_path) as first:
        commit_a_row(first.database_url)

    with Holder(tmp_path) as second:
        assert without_ports(second.said) == without_ports(first.said)
        assert rows(second.database_url) == 1


def test_an_orderly_stop_leaves_no_process_behind(tmp_path: Path) -> None:
    with Holder(tmp_path) as holder:
        assert set(holder.pids()) == set(SERVERS)

    assert holder.process.returncode == 0
    assert holder.pids() == {}
    assert working_in(tmp_path / "postgres" / "cluster", "postgres") == []
    assert "database system is shut down" in (tmp_path / "logs" / "postgres.log").read_text()


@pytest.mark.parametrize("server", SERVERS)
def test_a_killed_server_is_started_again(tmp_path: Path, server: str) -> None:
    with Holder(tmp_path) as holder:
        commit_a_row(holder.database_url)
        killed = holder.pid(server)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)

        wait_until(lambda: holder.pid(server) not in (None, killed), f"{server} is not restarted")

        wait_until(lambda: answers(holder.database_url), "the row is not back")


def test_the_servers_of_a_killed_supervisor_end_by_themselves(tmp_path: Path) -> None:
    with Holder(tmp_path) as holder:
        commit_a_row(holder.database_url)

        holder.process.kill()

        wait_until(lambda: holder.pids() == {}, "a server outlived its supervisor")
    with Holder(tmp_path) as next_one:
        assert rows(next_one.database_url) == 1


def test_a_frozen_orphan_is_ended_by_the_next_start(tmp_path: Path) -> None:
    with Holder(tmp_path) as holder:
        commit_a_row(holder.database_url)
        frozen = holder.pid("nats")
        assert frozen is not None
        os.kill(frozen, signal.SIGSTOP)
        holder.process.kill()
        holder.process.wait()

        with Holder(tmp_path) as next_one:
            assert frozen in next_one.said["ended"]
            assert next_one.pid("nats") not in (None, frozen)
            assert without_ports(next_one.said) == without_ports(holder.said)
            assert rows(next_one.database_url) == 1


def test_a_stale_lock_file_that_names_a_strangers_process_does_not_stop_postgres(
    tmp_path: Path,
) -> None:
    with Holder(tmp_path) as holder:
        commit_a_row(holder.database_url)
    lock = tmp_path / "postgres" / "cluster" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{lock.parent}\n0\n15432\n\n127.0.0.1\n\nready\n")

    with Holder(tmp_path) as next_one:
        assert rows(next_one.database_url) == 1


def test_two_folders_run_at_once(tmp_path: Path) -> None:
    with Holder(tmp_path / "one") as one, Holder(tmp_path / "other") as other:
        commit_a_row(one.database_url)
        commit_a_row(other.database_url)

        assert rows(one.database_url) == rows(other.database_url) == 1
        assert one.database_url != other.database_url


def test_the_data_folder_may_lie_under_a_folder_that_only_its_owner_enters(
    tmp_path: Path,
) -> None:
    parent = tmp_path / "closed"
    parent.mkdir(mode=0o700)

    with Holder(parent / "data") as holder:
        commit_a_row(holder.database_url)

        assert rows(holder.database_url) == 1
    assert stat.S_IMODE(parent.stat().st_mode) == 0o700


def test_passwords_stand_in_no_command_line_and_in_no_file_that_others_read(
    tmp_path: Path,
) -> None:
    with Holder(tmp_path) as holder:
        secrets = load_or_draw(tmp_path / "secrets.json")
        drawn = [secrets.postgres_password, secrets.nats_password, secrets.valkey_password]
        commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in holder.pids().values()]

        assert not [word for word in drawn for command in commands if word in command]
    for path in tmp_path.rglob("*"):
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            assert not [word for word in drawn if word.encode() in path.read_bytes()], path


def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    with Holder(tmp_path) as holder:
        wrong = holder.database_url.replace("magictoolbox:", "magictoolbox:not-", 1)

        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)


def test_a_server_whose_address_is_given_is_not_embedded(tmp_path: Path) -> None:
    external = {"DATABASE_URL": "postgresql://elsewhere/db", "REDIS_URL": "redis://elsewhere/0"}
    with DataFolder(tmp_path) as folder, PortClaims() as ports:
        secrets = load_or_draw(tmp_path / "secrets.json")
        plan = plan_servers(folder, secrets, ports, external)

    assert [program.name for program in plan.programs] == ["nats"]
    assert plan.endpoints == Endpoints(
        "postgresql://elsewhere/db", plan.endpoints.nats_url, "redis://elsewhere/0"
    )
    assert secrets.nats_password in plan.endpoints.nats_url
