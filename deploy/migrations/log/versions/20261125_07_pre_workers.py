"""Show which workers there are: each says so every few seconds. No fold of the log, like leases."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_07_pre_workers"
down_revision = "20261125_06_pre_secrets"

TABLE = """
CREATE TABLE work.workers (
    worker        text PRIMARY KEY,
    host          text NOT NULL,
    process       int NOT NULL,
    version       text NOT NULL,
    isolation     text NOT NULL,
    is_draining   boolean NOT NULL,
    sandboxes     int NOT NULL,
    sandboxes_busy int NOT NULL,
    inline_slots  int NOT NULL,
    inline_busy   int NOT NULL,
    started_at    timestamptz NOT NULL,
    seen_at       timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

GRANT SELECT, INSERT, UPDATE, DELETE ON work.workers TO mt_processors;
GRANT SELECT ON work.workers TO mt_query_api;
"""


def upgrade() -> None:
    execute_script(op, TABLE)


def downgrade() -> None:
    execute_script(op, "DROP TABLE work.workers")
