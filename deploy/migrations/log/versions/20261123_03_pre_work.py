"""The processors' own tables: what is runnable, due or running, and who holds which lease.

A fold of the log with its own checkpoint: all but `leases` can be made again from the log.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261123_03_pre_work"
down_revision = "20261123_02_pre_event_store"

TABLES = """
CREATE SCHEMA work;

CREATE TABLE work.checkpoints (
    name     text PRIMARY KEY,
    position bigint NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO work.checkpoints (name, position) VALUES ('dispatcher', 0);

-- Jobs that have not ended. `place` orders those that wait: the position at which a job was queued;
-- one that a lost or leaving worker gave up keeps the place it had.
CREATE TABLE work.jobs (
    job_id          uuid PRIMARY KEY,
    tenant          text NOT NULL,
    queue           text NOT NULL,
    priority        int NOT NULL,
    tool            text NOT NULL,
    timeout_seconds double precision NOT NULL,
    state           text NOT NULL CHECK (state IN ('queued', 'running', 'due')),
    version         bigint NOT NULL,
    position        bigint NOT NULL,
    place           bigint NOT NULL,
    since           timestamptz NOT NULL,
    due_at          timestamptz,
    lease           int NOT NULL,
    worker          text
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);
CREATE INDEX jobs_queued ON work.jobs (queue, place) WHERE state = 'queued';
CREATE INDEX jobs_due ON work.jobs (due_at) WHERE state = 'due';
CREATE INDEX jobs_running ON work.jobs (position) WHERE state = 'running';

-- Outputs and uploads that will have to be deleted.
CREATE TABLE work.results (
    job_id     uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX results_expiry ON work.results (expires_at);

CREATE TABLE work.uploads (
    upload_id  uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX uploads_expiry ON work.uploads (expires_at);

-- Heartbeats: rewritten every few seconds, never indexed, so that each is an update in place.
CREATE TABLE work.leases (
    job_id  uuid PRIMARY KEY,
    lease   int NOT NULL,
    worker  text NOT NULL,
    beats   bigint NOT NULL,
    beat_at timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
"""

GRANTS = """
GRANT USAGE ON SCHEMA work TO mt_processors, mt_query_api, mt_relay;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON
    work.checkpoints, work.jobs, work.results, work.uploads, work.leases TO mt_processors;
GRANT SELECT ON
    work.checkpoints, work.jobs, work.results, work.uploads, work.leases TO mt_query_api;
-- Whoever makes the stream anew begins it where the slowest reader stands.
GRANT SELECT ON work.checkpoints TO mt_relay;
"""


def upgrade() -> None:
    execute_script(op, TABLES)
    execute_script(op, GRANTS)


def downgrade() -> None:
    execute_script(op, "DROP SCHEMA work CASCADE")
