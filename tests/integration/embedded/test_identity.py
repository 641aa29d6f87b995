"""PostgreSQL runs for everybody: for root in a namespace or an account, for others as they are."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded import postgres
from infrastructure.embedded.data_folder import DataFolder
from infrastructure.embedded.errors import NoPlainUser
from infrastructure.embedded.identity import (
    NAMESPACE,
    borrow_account,
    choose_identity,
    run_as,
    runs_as,
)
from infrastructure.embedded.ports import PortClaims
from tests.fixtures.deadlines import wait_until
from tests.fixtures.ordinary_user import NOBODY, give_to_ordinary_user, ordinary_user
from tests.fixtures.servers import PASSWORD, Server
from tests.integration.embedded.holder import SERVERS, Holder

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="magictoolbox-open-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def open_binaries(open_folder: Path) -> Path:
    """PostgreSQL where everybody may run it."""
    installed = postgres.wheel_binaries().parents[1]
    libraries = installed.with_name(f"{installed.name}.libs")
    for part in (installed, libraries):
        shutil.copytree(part, open_folder / part.name, symlinks=True)
    return open_folder / installed.name / "pginstall" / "bin"


def test_an_ordinary_user_runs_all_servers(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    give_to_ordinary_user(home)

    with Holder(home / "data", ordinary_user()) as holder:
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in holder.pids().values()}
        assert len(holder.pids()) == len(SERVERS)
        assert owners == {home.stat().st_uid}
        with psycopg.connect(holder.database_url) as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
        holder.process.send_signal(signal.SIGKILL)

        wait_until(lambda: holder.pids() == {}, "a server outlived its supervisor")


@needs_root
def test_root_gets_a_namespace_in_which_files_stay_its_own(tmp_path: Path) -> None:
    assert choose_identity(tmp_path, Path(sys.executable)) == NAMESPACE

    script = 'id -u && touch "$0/made"'
    done = run_as(NAMESPACE, "/bin/sh", "-c", script, str(tmp_path), seconds=30)

    assert done.stdout == "1000\n"
    assert (tmp_path / "made").stat().st_uid == 0


@needs_root
def test_without_namespaces_root_borrows_an_account(open_folder: Path, open_binaries: Path) -> None:
    with DataFolder(open_folder / "data") as folder, PortClaims() as ports:
        folder.path.chmod(0o755)
        home = folder.server(postgres.NAME)
        identity = borrow_account(home, open_binaries / "postgres")
        port = ports.first_free(postgres.PORT_DEFAULT)
        program = postgres.program(
            folder, port, PASSWORD, binaries=open_binaries, identity=identity
        )
    server = Server(program, folder, postgres.url(port, PASSWORD))
    server.start()
    try:
        owner = Path(f"/proc/{server.pid}").stat().st_uid
        with psycopg.connect(server.url) as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()

    assert owner not in (0, None)
    assert pwd.getpwuid(owner).pw_name in ("postgres", "nobody")
    assert (home / "cluster").stat().st_uid == owner


@needs_root
def test_an_account_that_cannot_reach_the_folder_is_told_apart(
    open_folder: Path, open_binaries: Path
) -> None:
    closed = open_folder / "closed"
    (closed / "postgres").mkdir(parents=True)
    closed.chmod(0o700)

    with pytest.raises(NoPlainUser, match=r"cannot enter .*closed/postgres: .* DATABASE_URL"):
        borrow_account(closed / "postgres", open_binaries / "postgres")


@needs_root
def test_an_account_that_cannot_run_the_server_is_told_apart(open_folder: Path) -> None:
    program = open_folder / "postgres"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)

    with pytest.raises(NoPlainUser, match="cannot run"):
        borrow_account(open_folder, program)


def test_a_program_that_takes_too_long_has_failed() -> None:
    done = run_as("same", "/bin/sleep", "60", seconds=0.1)

    assert done.returncode != 0
    assert not runs_as("same", Path("/bin/false"))


@needs_root
def test_a_changed_user_still_dies_with_its_parent(open_folder: Path) -> None:
    ready = open_folder / "ready"
    os.chown(open_folder, NOBODY, NOBODY)
    parent = f"""
import sys
from infrastructure.embedded.identity import run_as
run_as("{NOBODY}:{NOBODY}", "/bin/sh", "-c", 'echo $$ > "$0"; exec sleep 60',
       {str(ready)!r}, seconds=60)
"""
    with subprocess.Popen([sys.executable, "-c", parent]) as process:
        wait_until(lambda: ready.exists() and ready.read_text() != "", "the child does not start")
        child = Path(f"/proc/{ready.read_text().strip()}")
        assert child.exists()

        process.kill()

    wait_until(lambda: not child.exists(), "the child outlived its parent")
