"""The read model of workflows.

A fresh installation gets its table at once; where something was projected already, the projector
notices that its projections are newer, and makes all tables anew.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_05_pre_workflows"
down_revision = "20261125_04_pre_queues"

FRESH = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM read_models.checkpoints WHERE position > 0)
       OR to_regclass('read_models.job_summary_1') IS NULL THEN
        RETURN;
    END IF;
    CREATE TABLE read_models.workflow_summary_1 (
        workflow_id uuid NOT NULL,
        tenant      text NOT NULL,
        owner       text NOT NULL,
        kind        text NOT NULL,
        status      text NOT NULL,
        name        text,
        labels      text,
        on_failure  text NOT NULL,
        round       bigint NOT NULL,
        plan        jsonb NOT NULL,
        steps       jsonb NOT NULL,
        counts      jsonb NOT NULL,
        request_id  text NOT NULL,
        created_at  timestamptz NOT NULL,
        ended_at    timestamptz,
        version     bigint NOT NULL,
        position    bigint NOT NULL,
        CONSTRAINT workflow_summary_pkey_1 PRIMARY KEY (workflow_id)
    );
    CREATE INDEX workflow_summary_newest_1
        ON read_models.workflow_summary_1 (tenant, created_at, workflow_id);
    CREATE INDEX workflow_summary_owner_1
        ON read_models.workflow_summary_1 (tenant, owner, created_at, workflow_id);
    CREATE VIEW read_models.workflow_summary AS SELECT * FROM read_models.workflow_summary_1;
    INSERT INTO read_models.checkpoints (name, position, generation)
    VALUES ('workflow_summary', 0, 1);
    UPDATE read_models.generations
       SET fingerprint = (
           SELECT string_agg(one, ',' ORDER BY one COLLATE "C")
             FROM unnest(string_to_array(fingerprint, ',') || 'workflow_summary=1'::text) AS one)
     WHERE projection_group = 'platform' AND state = 'live';
END $$;
"""


def upgrade() -> None:
    execute_script(op, "SET LOCAL ROLE mt_projectors")
    execute_script(op, FRESH)
    execute_script(op, "RESET ROLE")


def downgrade() -> None:
    execute_script(op, "DELETE FROM read_models.generations")
