"""Secrets are drawn once per folder."""

import json
import stat
from dataclasses import asdict
from pathlib import Path

from infrastructure.embedded.secrets_file import load_or_draw


def test_a_restart_finds_the_same_secrets(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"

    first, second = load_or_draw(path), load_or_draw(path)

    assert first == second
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_folders_share_no_secret_and_no_secret_has_two_uses(tmp_path: Path) -> None:
    one, other = load_or_draw(tmp_path / "one"), load_or_draw(tmp_path / "other")

    drawn = [*asdict(one).values(), *asdict(other).values()]

    assert len(set(drawn)) == len(drawn)


def test_a_secret_that_an_older_version_did_not_know_is_added_to_the_others(
    tmp_path: Path,
) -> None:
    path = tmp_path / "secrets.json"
    old = asdict(load_or_draw(path))
    del old["sealing_key"]
    path.write_text(json.dumps(old))

    complete = asdict(load_or_draw(path))

    assert complete["sealing_key"]
    assert {name: complete[name] for name in old} == old
    assert json.loads(path.read_text()) == complete


def test_secrets_do_not_show_when_printed(tmp_path: Path) -> None:
    secrets = load_or_draw(tmp_path / "secrets.json")

    assert secrets.secret_key not in repr(secrets)
