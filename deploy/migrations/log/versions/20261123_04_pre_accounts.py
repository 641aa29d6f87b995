"""Accounts of the command API: tenants, users, refresh tokens. Passwords never enter the log."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261123_04_pre_accounts"
down_revision = "20261123_03_pre_work"

SCHEMA = """
CREATE SCHEMA accounts;
GRANT USAGE ON SCHEMA accounts TO mt_command_api;
"""


def upgrade() -> None:
    execute_script(op, SCHEMA)


def downgrade() -> None:
    execute_script(op, "DROP SCHEMA accounts CASCADE")
