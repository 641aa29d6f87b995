"""Let jobs wait in lanes: an index by all that may hold a job back, limits, and paused queues."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_05_pre_lanes"
down_revision = "20261125_04_pre_workflows"

TABLES = """
ALTER TABLE work.jobs ADD COLUMN limit_key text NOT NULL DEFAULT '';
CREATE INDEX jobs_lanes ON work.jobs (queue, priority, tenant, tool, limit_key, place)
    WHERE state = 'queued';

CREATE TABLE work.limits (
    limit_id    uuid PRIMARY KEY,
    tenant      text NOT NULL,
    scope       text NOT NULL,
    subject     text NOT NULL,
    concurrency bigint,
    rate        bigint,
    per_seconds double precision
);

CREATE TABLE work.paused_queues (
    queue_id uuid PRIMARY KEY,
    tenant   text NOT NULL,
    queue    text NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON work.limits, work.paused_queues
    TO mt_processors;
GRANT SELECT ON work.limits, work.paused_queues TO mt_query_api;
"""


def upgrade() -> None:
    execute_script(op, TABLES)


def downgrade() -> None:
    execute_script(op, "DROP TABLE work.limits, work.paused_queues")
    execute_script(op, "DROP INDEX work.jobs_lanes")
    execute_script(op, "ALTER TABLE work.jobs DROP COLUMN limit_key")
