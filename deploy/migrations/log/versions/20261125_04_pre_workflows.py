"""How far the manager of workflows has read the log.

Not among `work.checkpoints`: it reads the log and never the stream, so a stream that is made anew
need not begin where it stands.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_04_pre_workflows"
down_revision = "20261125_03_pre_bulk"

TABLE = """
CREATE TABLE work.workflow_checkpoint (
    position bigint NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO work.workflow_checkpoint (position) VALUES (0);
GRANT SELECT, UPDATE ON work.workflow_checkpoint TO mt_processors;
GRANT SELECT ON work.workflow_checkpoint TO mt_query_api;
"""


def upgrade() -> None:
    execute_script(op, TABLE)


def downgrade() -> None:
    execute_script(op, "DROP TABLE work.workflow_checkpoint")
