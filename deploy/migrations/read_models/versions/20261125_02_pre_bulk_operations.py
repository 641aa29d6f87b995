"""The read model of bulk operations.

A fresh installation gets its table at once; where something was projected already, the projector
notices that its projections are newer, and makes all tables anew.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_02_pre_bulk_operations"
down_revision = "20261125_01_pre_job_times"

FRESH = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM read_models.checkpoints WHERE position > 0)
       OR to_regclass('read_models.job_summary_1') IS NULL THEN
        RETURN;
    END IF;
    CREATE TABLE read_models.bulk_operations_1 (
        bulk_id       uuid NOT NULL,
        tenant        text NOT NULL,
        owner         text NOT NULL,
        action        text NOT NULL,
        status        text NOT NULL,
        dry_run       boolean NOT NULL,
        filter        jsonb NOT NULL,
        labels        text,
        matched       bigint NOT NULL,
        changed       bigint NOT NULL,
        skipped       bigint NOT NULL,
        requested_at  timestamptz NOT NULL,
        progressed_at timestamptz,
        ended_at      timestamptz,
        version       bigint NOT NULL,
        position      bigint NOT NULL,
        CONSTRAINT bulk_operations_pkey_1 PRIMARY KEY (bulk_id)
    );
    CREATE VIEW read_models.bulk_operations AS SELECT * FROM read_models.bulk_operations_1;
    INSERT INTO read_models.checkpoints (name, position, generation)
    VALUES ('bulk_operations', 0, 1);
    UPDATE read_models.generations SET fingerprint = 'bulk_operations=1,' || fingerprint
     WHERE projection_group = 'platform' AND state = 'live';
END $$;
"""


def upgrade() -> None:
    execute_script(op, "SET LOCAL ROLE mt_projectors")
    execute_script(op, FRESH)
    execute_script(op, "RESET ROLE")


def downgrade() -> None:
    execute_script(op, "DELETE FROM read_models.generations")
