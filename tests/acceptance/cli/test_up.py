"""`magictoolbox up`: it comes up, refuses what is taken, survives deaths and leaves in order."""

import os
import signal
import socket
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import httpx
import psutil
import pytest

from infrastructure.cli.services import SERVICES
from infrastructure.embedded.orphans import read_pid
from tests.fixtures.deadlines import wait_until
from tests.fixtures.ordinary_user import give_to_ordinary_user, ordinary_user
from tests.fixtures.platform import Platform, PlatformFactory

SERVERS = ("postgres", "nats", "valkey")
PROCESSES = (*(name for name in SERVICES if name != "worker"), "worker-1", *SERVERS)
REFUSAL_SECONDS = 30


def up(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `up` where it must refuse at once."""
    command = [sys.executable, "-m", "infrastructure.cli.main", "up", "--data-dir", str(data_dir)]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=REFUSAL_SECONDS
    )


def addresses(pid: int) -> list[str]:
    """Where that process answers: the APIs on their own port, and each on one for its health."""
    sockets = psutil.Process(pid).net_connections("tcp")
    listening = [each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN]
    return [f"http://127.0.0.1:{port}" for port in listening]


def status(url: str) -> int:
    return httpx.get(url, trust_env=False, timeout=30).status_code


def tools(platform: Platform) -> list[str]:
    """The tools that the query API shows to the administrator."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        answer = client.get(f"{platform.query_url}/api/v1/tools", headers=platform.authorization())
    assert answer.status_code == httpx.codes.OK, answer.text
    return [tool["name"] for tool in answer.json()["items"]]


def digest(platform: Platform, content: bytes) -> str:
    """What the checksum tool of that platform answers for a small file."""
    with httpx.Client(trust_env=False, timeout=60, headers=platform.authorization()) as client:
        accepted = client.post(
            f"{platform.command_url}/api/v1/tools/checksum/process",
            files={"file": ("small.bin", content)},
            headers={"Prefer": "wait=30"},
        )
        assert accepted.status_code == httpx.codes.OK, accepted.text
        job = client.get(
            f"{platform.query_url}/api/v1/jobs/{accepted.json()['job_id']}",
            params={"min_position": accepted.headers["X-Event-Position"], "wait": 20},
        )
        assert job.status_code == httpx.codes.OK, job.text
        return client.get(job.json()["outputs"][0]["url"]).text


def test_ready_means_that_tools_are_there_and_the_administrator_can_log_in(
    platform: Platform,
) -> None:
    assert "image-converter" in tools(platform)


def test_each_process_is_a_child_of_its_own_with_a_log(platform: Platform) -> None:
    pids = [platform.pid(name) for name in PROCESSES]

    assert len(set(pids)) == len(PROCESSES)
    assert [
        name for name in PROCESSES if not (platform.data_dir / f"logs/{name}.log").exists()
    ] == []


@pytest.mark.parametrize("name", [name for name in PROCESSES if name not in SERVERS])
def test_each_process_tells_that_it_lives_is_ready_and_what_it_counts(
    platform: Platform, name: str
) -> None:
    found = addresses(platform.pid(name))

    assert len(found) == (2 if name in ("command-api", "query-api") else 1)
    for address in found:
        wait_until(lambda a=address: status(f"{a}/ready") == 200, f"{name} is not ready")
        assert [status(f"{address}/{page}") for page in ("health", "metrics")] == [200, 200]


def test_a_second_up_on_the_same_folder_says_who_holds_it(platform: Platform) -> None:
    holder = (platform.data_dir / "lock").read_text().strip()

    second = up(platform.data_dir)

    assert second.returncode == 2
    assert f"is in use by process {holder}" in second.stderr
    assert second.stdout == ""


def test_a_busy_port_that_was_asked_for_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        refused = up(tmp_path / "data", "--query-port", str(port))

    assert refused.returncode == 2
    assert f"port {port} was asked for as the query API port but is in use" in refused.stderr


@pytest.mark.drill
def test_two_platforms_run_at_once(platform: Platform, platform_factory: PlatformFactory) -> None:
    other = platform_factory()
    other.start()

    assert other.command_url != platform.command_url
    assert other.query_url != platform.query_url
    assert tools(other) == tools(platform)


@pytest.mark.drill
def test_it_leaves_in_order_and_nothing_behind(platform_factory: PlatformFactory) -> None:
    mine = platform_factory(workers=2)
    mine.start()
    pids = {name: mine.pid(name) for name in (*PROCESSES, "worker-2")}

    mine.stop()

    assert [name for name, pid in pids.items() if Path(f"/proc/{pid}").exists()] == []
    assert list((mine.data_dir / "run").iterdir()) == []
    assert "database system is shut down" in mine.log("postgres")


@pytest.mark.drill
def test_a_service_that_dies_is_started_again(platform_factory: PlatformFactory) -> None:
    mine = platform_factory()
    mine.start()

    killed = mine.kill("query-api")

    assert mine.wait_for_another("query-api", killed) != killed


@pytest.mark.drill
def test_everything_killed_at_once_starts_again_with_the_same_login(
    platform_factory: PlatformFactory,
) -> None:
    mine = platform_factory()
    mine.start()
    password = mine.secret("admin_password")

    mine.restart_all()

    assert mine.secret("admin_password") == password
    assert "image-converter" in tools(mine)


def test_an_ordinary_user_runs_the_platform(
    platform_factory: PlatformFactory, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    give_to_ordinary_user(home)
    mine = platform_factory(prefix=ordinary_user(), data_dir=home / "data")

    mine.start()

    assert sha256(b"small").hexdigest() in digest(mine, b"small")
    owners = {Path(f"/proc/{mine.pid(name)}").stat().st_uid for name in PROCESSES}
    assert owners == {home.stat().st_uid}


@pytest.mark.drill
def test_the_platform_runs_under_a_folder_that_only_its_owner_enters(
    platform_factory: PlatformFactory, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    mine = platform_factory(data_dir=closed / "data")

    mine.start()

    assert sha256(b"small").hexdigest() in digest(mine, b"small")


def test_a_service_that_cannot_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infrastructure.cli.main", "up", "--data-dir"]

    failed = subprocess.run(
        [*command, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "SECRET_KEY": "too short"},
    )

    assert failed.returncode == 1
    assert "ended with exit code" in failed.stderr
    assert "SECRET_KEY needs at least" in failed.stderr
    assert failed.stdout == ""
    assert [path for path in (tmp_path / "data/run").iterdir() if read_pid(path)] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_during_the_start_ends_it_in_order(
    platform_factory: PlatformFactory, number: signal.Signals
) -> None:
    mine = platform_factory()
    mine.launch()
    process = mine.process

    mine.wait_for("postgres")
    process.send_signal(number)

    assert process.wait(60) == 0
    assert list((mine.data_dir / "run").iterdir()) == []


@pytest.mark.drill
def test_external_servers_are_used_as_soon_as_their_addresses_are_set(
    platform_factory: PlatformFactory, empty_database_url: str, nats_url: str, redis_url: str
) -> None:
    external = {"DATABASE_URL": empty_database_url, "NATS_URL": nats_url, "REDIS_URL": redis_url}
    mine = platform_factory(environment=external)

    mine.start()

    assert sha256(b"small").hexdigest() in digest(mine, b"small")
    assert [name for name in SERVERS if (mine.data_dir / name).exists()] == []
    # Before its database is dropped.
    mine.stop()
