"""The plan of a platform: who runs, and what each finds in its environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.cli.platform_plan import PlatformPlan, Wishes, plan_platform
from infrastructure.cli.services import SERVICES
from infrastructure.embedded.data_folder import DataFolder
from infrastructure.embedded.errors import PortBusy
from infrastructure.embedded.ports import PortClaims
from infrastructure.embedded.secrets_file import load_or_draw

EXTERNAL = {
    "DATABASE_URL": "postgresql://user:word@elsewhere/log",
    "NATS_URL": "nats://elsewhere:4222",
    "REDIS_URL": "redis://elsewhere:6379/3",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataFolder]:
    for name, url in EXTERNAL.items():
        monkeypatch.setenv(name, url)
    monkeypatch.chdir(tmp_path)
    with DataFolder(tmp_path / "data") as folder:
        yield folder


def plan(folder: DataFolder, wishes: Wishes | None = None) -> PlatformPlan:
    with PortClaims() as ports:
        return plan_platform(folder, wishes or Wishes(), ports)


def test_external_servers_are_used_as_soon_as_their_addresses_are_set(folder: DataFolder) -> None:
    planned = plan(folder)

    assert planned.servers.programs == ()
    assert {name: planned.environment[name] for name in EXTERNAL} == EXTERNAL


def test_an_address_in_the_dotenv_file_counts_too(
    folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://from-the-file/log\n")

    planned = plan(folder)

    assert planned.environment["DATABASE_URL"] == "postgresql://from-the-file/log"


def test_every_service_runs_once_and_workers_as_often_as_asked(folder: DataFolder) -> None:
    names = [program.name for program in plan(folder, Wishes(workers=3)).services]

    assert sorted(names) == sorted(
        [*(set(SERVICES) - {"worker"}), "worker-1", "worker-2", "worker-3"]
    )


def test_no_two_processes_share_a_port(folder: DataFolder) -> None:
    planned = plan(folder, Wishes(workers=2))

    own = [dict(program.environment or {}) for program in planned.services]
    ports = [env[name] for env in own for name in ("PORT", "HEALTH_PORT") if name in env]
    assert len(set(ports)) == len(ports) == len(planned.services) + 2


def test_secrets_come_from_the_folder_unless_the_environment_has_its_own(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "a key of my own that is long enough")

    planned = plan(folder)

    drawn = load_or_draw(folder.path / "secrets.json")
    assert planned.environment["SECRET_KEY"] == "a key of my own that is long enough"
    assert planned.environment["SEALING_KEY"] == drawn.sealing_key
    assert planned.environment["ADMIN_PASSWORD"] == drawn.admin_password


def test_the_apis_are_told_where_they_are_reached(folder: DataFolder) -> None:
    planned = plan(folder)

    ports = {
        program.name: dict(program.environment or {}).get("PORT") for program in planned.services
    }
    assert planned.command_url == f"http://127.0.0.1:{ports['command-api']}"
    assert planned.query_url == f"http://127.0.0.1:{ports['query-api']}"
    assert ports["relay"] is None


def test_a_public_address_of_ones_own_is_kept(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUERY_PUBLIC_URL", "https://files.example.org")

    assert plan(folder).query_url == "https://files.example.org"


def test_the_same_port_cannot_be_asked_for_twice(folder: DataFolder) -> None:
    with PortClaims() as ports:
        free = ports.first_free(23000)

    with pytest.raises(PortBusy, match=f"port {free} .* query API"):
        plan(folder, Wishes(command_port=free, query_port=free))
