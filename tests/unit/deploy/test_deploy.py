"""What is under deploy/ passes its own linters, as no container engine runs here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infrastructure.metrics import exposition

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
TOOLS = Path(sys.executable).parent
SERVICES = {"command-api", "query-api", "relay", "dispatcher", "clock", "projector", "worker"}
SECRETS = (
    "POSTGRES_PASSWORD",
    "NATS_PASSWORD",
    "REDIS_PASSWORD",
    "SECRET_KEY",
    "SEALING_KEY",
    "ADMIN_USERNAME",
    "ADMIN_PASSWORD",
)

TEST_OF_RULES = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'magictoolbox_projection_lag_seconds{{projection="jobs"}}', values: '60x10'}}
      - {{series: 'magictoolbox_relay_halted', values: '0 0 0 0 1 1'}}
      - {{series: 'magictoolbox_pool_waiting{{pool="log"}}', values: '0x10'}}
      - {{series: 'magictoolbox_clock_facts_total{{kind="schedule_refused"}}', values: '0 0 0 1 1'}}
      - {{series: 'magictoolbox_clock_facts_total{{kind="due"}}', values: '0+10x10'}}
    alert_rule_test:
      - eval_time: 1m
        alertname: ProjectionBehind
        exp_alerts: []
      - eval_time: 5m
        alertname: ProjectionBehind
        exp_alerts:
          - exp_labels: {{severity: page, projection: jobs}}
            exp_annotations:
              summary: jobs is more than 30 s behind the log.
              runbook: docs/operations.md#projection-behind
      - eval_time: 5m
        alertname: RelayHalted
        exp_alerts:
          - exp_labels: {{severity: page}}
            exp_annotations:
              summary: JetStream and the log disagree; a backup may have been restored.
              runbook: docs/operations.md#relay-halted
      - eval_time: 5m
        alertname: PoolExhausted
        exp_alerts: []
      - eval_time: 2m
        alertname: SchedulesRefused
        exp_alerts: []
      - eval_time: 4m
        alertname: SchedulesRefused
        exp_alerts:
          - exp_labels: {{severity: ticket, kind: schedule_refused}}
            exp_annotations:
              summary: Schedules make no jobs, because no worker can run their tool.
              runbook: docs/operations.md#a-schedule-makes-no-jobs
"""

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is in the Debian package prometheus"
)


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def rules() -> list[dict[str, str]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_image_passes_its_linter() -> None:
    done = run(TOOLS / "hadolint", DEPLOY / "Dockerfile")

    assert done.returncode == 0, done.stdout


def test_the_image_runs_as_nobody_special() -> None:
    text = (DEPLOY / "Dockerfile").read_text()

    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]


def test_compose_starts_every_process_and_only_with_secrets_given() -> None:
    given = dict.fromkeys(SECRETS, "x" * 32)

    without = run(TOOLS / "docker-compose", "-f", DEPLOY / "compose.yaml", "config", "-q")
    done = run(TOOLS / "docker-compose", "-f", DEPLOY / "compose.yaml", "config", **given)

    assert without.returncode != 0
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) >= SERVICES | {"migrate"}


def test_every_metric_that_an_alert_names_exists() -> None:
    known = set(re.findall(r"^# TYPE (\w+)", exposition().decode(), re.MULTILINE))
    named = {name for rule in rules() for name in re.findall(r"magictoolbox_\w+", rule["expr"])}

    assert {re.sub(r"_(count|sum|bucket)$", "", name) for name in named} <= known


def test_every_runbook_that_an_alert_names_exists() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    headings = {
        "docs/operations.md#" + re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }

    assert {rule["annotations"]["runbook"] for rule in rules()} <= headings  # type: ignore[index]


@needs_promtool
@pytest.mark.debian
def test_the_rules_are_valid_and_fire_when_they_should(tmp_path: Path) -> None:
    path = DEPLOY / "prometheus" / "alerts.yaml"
    test = tmp_path / "test.yaml"
    test.write_text(TEST_OF_RULES.format(rules=path))

    checked = run("promtool", "check", "rules", path)
    tested = run("promtool", "test", "rules", test)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert tested.returncode == 0, tested.stdout + tested.stderr
