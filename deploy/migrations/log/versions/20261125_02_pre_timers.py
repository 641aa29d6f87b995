"""Timers: what the clock may have to do at a time, beside what has a table of its own.

A fold of the log like the other tables of work.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_02_pre_timers"
down_revision = "20261125_01_pre_attempt_logs"

TIMERS = """
CREATE TABLE work.timers (
    timer      text NOT NULL,
    subject_id uuid NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (timer, subject_id)
);
CREATE INDEX timers_at ON work.timers (timer, at);
ALTER TABLE work.jobs ADD COLUMN queue_seconds_max double precision;

GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON work.timers TO mt_processors;
GRANT SELECT ON work.timers TO mt_query_api;
"""


def upgrade() -> None:
    execute_script(op, TIMERS)


def downgrade() -> None:
    execute_script(
        op, "DROP TABLE work.timers; ALTER TABLE work.jobs DROP COLUMN queue_seconds_max"
    )
