"""Keep what attempts wrote, sealed, until it expires. No fold of the log: what is lost is lost."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_01_pre_attempt_logs"
down_revision = "20261123_05_pre_tool_index"

TABLE = """
CREATE TABLE work.attempt_logs (
    job_id     uuid NOT NULL,
    lease      int NOT NULL,
    text       text NOT NULL,
    is_cut     boolean NOT NULL,
    written_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (job_id, lease)
);
-- Ciphertext cannot be compressed; trying to costs time.
ALTER TABLE work.attempt_logs ALTER COLUMN text SET STORAGE EXTERNAL;
CREATE INDEX attempt_logs_expiry ON work.attempt_logs (expires_at);

GRANT SELECT, INSERT, DELETE ON work.attempt_logs TO mt_processors;
GRANT SELECT ON work.attempt_logs TO mt_query_api;
"""


def upgrade() -> None:
    execute_script(op, TABLE)


def downgrade() -> None:
    execute_script(op, "DROP TABLE work.attempt_logs")
