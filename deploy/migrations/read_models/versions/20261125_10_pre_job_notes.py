"""Jobs show what their tool has to say about the outputs.

The live table gets the column at once, so that the query API may select it while an older
projector goes on writing; a newer one fills it when it makes the tables anew.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_10_pre_job_notes"
down_revision = "20261125_09_pre_job_workflow"

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
                      ADD COLUMN IF NOT EXISTS notes text', live);
    EXECUTE format('CREATE OR REPLACE VIEW read_models.job_summary
                        AS SELECT * FROM read_models.%I', live);
END $$;
"""

# Tables without a row are those of the new projections as they are.
FRESH = """
UPDATE read_models.generations
   SET fingerprint = replace(fingerprint, 'job_summary=3', 'job_summary=4')
 WHERE state = 'live' AND NOT EXISTS (SELECT FROM read_models.checkpoints WHERE position > 0)
"""


def upgrade() -> None:
    execute_script(op, "SET LOCAL ROLE mt_projectors")
    execute_script(op, COLUMNS)
    execute_script(op, FRESH)
    execute_script(op, "RESET ROLE")


def downgrade() -> None:
    execute_script(op, "DELETE FROM read_models.generations")
