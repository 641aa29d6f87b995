"""The read models of queues and limits, and an index over what waits.

A fresh installation gets its tables at once; where something was projected already, the projector
notices that its projections are newer, and makes all tables anew.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_04_pre_queues"
down_revision = "20261125_03_pre_schedules"

FRESH = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM read_models.checkpoints WHERE position > 0)
       OR to_regclass('read_models.job_summary_1') IS NULL THEN
        RETURN;
    END IF;
    CREATE INDEX job_summary_waiting_1 ON read_models.job_summary_1 (tenant, queue, queued_at)
        WHERE status = 'queued';
    CREATE TABLE read_models.queue_counters_1 (
        tenant text NOT NULL,
        queue  text NOT NULL,
        status text NOT NULL,
        jobs   bigint NOT NULL,
        CONSTRAINT queue_counters_pkey_1 PRIMARY KEY (tenant, queue, status)
    );
    CREATE TABLE read_models.queue_states_1 (
        queue_id uuid NOT NULL,
        tenant   text NOT NULL,
        queue    text NOT NULL,
        paused   boolean NOT NULL,
        position bigint NOT NULL,
        CONSTRAINT queue_states_pkey_1 PRIMARY KEY (queue_id)
    );
    CREATE INDEX queue_states_tenant_1 ON read_models.queue_states_1 (tenant, queue);
    CREATE TABLE read_models.limits_1 (
        limit_id     uuid NOT NULL,
        tenant       text NOT NULL,
        scope        text NOT NULL,
        subject      text NOT NULL,
        subject_text text,
        concurrency  bigint,
        rate         bigint,
        per_seconds  double precision,
        position     bigint NOT NULL,
        CONSTRAINT limits_pkey_1 PRIMARY KEY (limit_id)
    );
    CREATE INDEX limits_tenant_1 ON read_models.limits_1 (tenant, scope, limit_id);
    CREATE VIEW read_models.queue_counters AS SELECT * FROM read_models.queue_counters_1;
    CREATE VIEW read_models.queue_states AS SELECT * FROM read_models.queue_states_1;
    CREATE VIEW read_models.limits AS SELECT * FROM read_models.limits_1;
    INSERT INTO read_models.checkpoints (name, position, generation)
    VALUES ('queue_counters', 0, 1), ('queue_states', 0, 1), ('limits', 0, 1);
    UPDATE read_models.generations
       SET fingerprint = (
               SELECT string_agg(one, ',' ORDER BY one COLLATE "C")
                 FROM unnest(string_to_array(
                      fingerprint || ',limits=1,queue_counters=1,queue_states=1', ',')) AS one)
     WHERE projection_group = 'platform' AND state = 'live';
END $$;
"""


def upgrade() -> None:
    execute_script(op, "SET LOCAL ROLE mt_projectors")
    execute_script(op, FRESH)
    execute_script(op, "RESET ROLE")


def downgrade() -> None:
    execute_script(op, "DELETE FROM read_models.generations")
