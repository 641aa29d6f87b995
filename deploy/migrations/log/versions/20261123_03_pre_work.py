"""The processors' own tables: what is runnable, due or running, and who holds which lease."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261123_03_pre_work"
down_revision = "20261123_02_pre_event_store"

SCHEMA = """
CREATE SCHEMA work;
GRANT USAGE ON SCHEMA work TO mt_processors, mt_query_api;
"""


def upgrade() -> None:
    execute_script(op, SCHEMA)


def downgrade() -> None:
    execute_script(op, "DROP SCHEMA work CASCADE")
