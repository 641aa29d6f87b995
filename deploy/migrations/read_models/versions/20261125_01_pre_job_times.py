"""Jobs show how long they may wait, which schedule submitted them, and whose result they reuse.

The live tables get the columns at once, so that the query API may select them; the projector fills
them when it rebuilds what older projections made.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_01_pre_job_times"
down_revision = "20261123_01_pre_read_models"

COLUMNS = """
DO $$
DECLARE
    live text;
BEGIN
    SELECT 'job_summary_' || generation INTO live
      FROM read_models.generations WHERE projection_group = 'platform' AND state = 'live';
    IF to_regclass('read_models.' || live) IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('ALTER TABLE read_models.%I
                      ADD COLUMN IF NOT EXISTS queue_seconds_max double precision,
                      ADD COLUMN IF NOT EXISTS schedule_id uuid,
                      ADD COLUMN IF NOT EXISTS reused_from uuid', live);
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON read_models.%I (schedule_id, created_at)
                     WHERE schedule_id IS NOT NULL',
                   replace(live, 'summary', 'summary_schedule'), live);
    EXECUTE format('CREATE OR REPLACE VIEW read_models.job_summary
                        AS SELECT * FROM read_models.%I', live);
END $$;
"""

# Tables without a row are those of the new projections as they are.
FRESH = """
UPDATE read_models.generations
   SET fingerprint = replace(replace(fingerprint, 'job_summary=1', 'job_summary=2'),
                             'job_timeline=1', 'job_timeline=2')
 WHERE state = 'live' AND NOT EXISTS (SELECT FROM read_models.checkpoints WHERE position > 0)
"""


def upgrade() -> None:
    execute_script(op, "SET LOCAL ROLE mt_projectors")
    execute_script(op, COLUMNS)
    execute_script(op, FRESH)
    execute_script(op, "RESET ROLE")


def downgrade() -> None:
    execute_script(op, "DELETE FROM read_models.generations")
