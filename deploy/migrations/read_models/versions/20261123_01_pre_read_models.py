"""The read models' schema and its checkpoints; every table here may be dropped and rebuilt."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261123_01_pre_read_models"
down_revision = None

SCHEMA = """
CREATE SCHEMA read_models;
GRANT USAGE ON SCHEMA read_models TO mt_projectors, mt_query_api;
"""


def upgrade() -> None:
    execute_script(op, SCHEMA)


def downgrade() -> None:
    execute_script(op, "DROP SCHEMA read_models CASCADE")
