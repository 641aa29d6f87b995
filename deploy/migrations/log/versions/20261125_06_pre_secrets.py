"""Secrets of jobs: who folds the end of a job deletes the key of its secret options."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_06_pre_secrets"
down_revision = "20261125_05_pre_lanes"


def upgrade() -> None:
    execute_script(op, "GRANT DELETE ON keys.subject_keys TO mt_processors;")


def downgrade() -> None:
    execute_script(op, "REVOKE DELETE ON keys.subject_keys FROM mt_processors;")
