"""The read model of schedules.

A fresh installation gets its table at once; where something was projected already, the projector
notices that its projections are newer, and makes all tables anew.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_03_pre_schedules"
down_revision = "20261125_02_pre_bulk_operations"

FRESH = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM read_models.checkpoints WHERE position > 0)
       OR to_regclass('read_models.job_summary_1') IS NULL THEN
        RETURN;
    END IF;
    CREATE TABLE read_models.schedule_summary_1 (
        schedule_id   uuid NOT NULL,
        tenant        text NOT NULL,
        owner         text NOT NULL,
        name          text NOT NULL,
        status        text NOT NULL,
        cron          text NOT NULL,
        zone          text NOT NULL,
        missed        text NOT NULL,
        tool          text NOT NULL,
        template      jsonb NOT NULL,
        next_at       timestamptz,
        last_fired_at timestamptz,
        last_job      uuid,
        fired         bigint NOT NULL,
        passed_over   bigint NOT NULL,
        created_at    timestamptz NOT NULL,
        changed_at    timestamptz NOT NULL,
        version       bigint NOT NULL,
        position      bigint NOT NULL,
        CONSTRAINT schedule_summary_pkey_1 PRIMARY KEY (schedule_id)
    );
    CREATE INDEX schedule_summary_newest_1
        ON read_models.schedule_summary_1 (tenant, created_at, schedule_id);
    CREATE INDEX schedule_summary_owner_1
        ON read_models.schedule_summary_1 (tenant, owner, created_at, schedule_id);
    CREATE VIEW read_models.schedule_summary AS SELECT * FROM read_models.schedule_summary_1;
    INSERT INTO read_models.checkpoints (name, position, generation)
    VALUES ('schedule_summary', 0, 1);
    UPDATE read_models.generations
       SET fingerprint = (
           SELECT string_agg(one, ',' ORDER BY one COLLATE "C")
             FROM unnest(string_to_array(fingerprint, ',') || 'schedule_summary=1'::text) AS one)
     WHERE projection_group = 'platform' AND state = 'live';
END $$;
"""


def upgrade() -> None:
    execute_script(op, "SET LOCAL ROLE mt_projectors")
    execute_script(op, FRESH)
    execute_script(op, "RESET ROLE")


def downgrade() -> None:
    execute_script(op, "DELETE FROM read_models.generations")
