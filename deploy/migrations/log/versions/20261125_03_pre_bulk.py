"""Find the jobs of bulk operations: those that ended without success, and the operations that run.

A fold of the log with its own checkpoint, like the other tables of work.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_03_pre_bulk"
down_revision = "20261125_02_pre_timers"

TABLES = """
CREATE TABLE work.dead_letters (
    job_id   uuid PRIMARY KEY,
    tenant   text NOT NULL,
    status   text NOT NULL CHECK (status IN ('failed', 'cancelled')),
    code     text,
    ended_at timestamptz NOT NULL,
    position bigint NOT NULL
);
CREATE INDEX dead_letters_of_tenant ON work.dead_letters (tenant, job_id);

CREATE TABLE work.bulk_operations (
    bulk_id  uuid PRIMARY KEY,
    position bigint NOT NULL
);

INSERT INTO work.checkpoints (name, position) VALUES ('bulk', 0);

GRANT SELECT, INSERT, UPDATE, DELETE ON work.dead_letters, work.bulk_operations TO mt_processors;
GRANT SELECT ON work.dead_letters TO mt_query_api;
"""

BACK = """
DROP TABLE work.dead_letters, work.bulk_operations;
DELETE FROM work.checkpoints WHERE name = 'bulk';
"""


def upgrade() -> None:
    execute_script(op, TABLES)


def downgrade() -> None:
    execute_script(op, BACK)
