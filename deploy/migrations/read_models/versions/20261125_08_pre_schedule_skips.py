"""Schedules show why the latest time of their plan got no job.

The live table gets the columns at once, so that the query API may select them while an older
projector goes on writing; a newer one fills them when it makes the tables anew.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_08_pre_schedule_skips"
down_revision = "20261125_07_pre_tool_reuse"

COLUMNS = """
DO $$
DECLARE
    live text;
BEGIN
    SELECT 'schedule_summary_' || generation INTO live
      FROM read_models.generations WHERE projection_group = 'platform' AND state = 'live';
    IF to_regclass('read_models.' || live) IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('ALTER TABLE read_models.%I
                      ADD COLUMN IF NOT EXISTS skipped_tick timestamptz,
                      ADD COLUMN IF NOT EXISTS skipped_because text', live);
    EXECUTE format('CREATE OR REPLACE VIEW read_models.schedule_summary
                        AS SELECT * FROM read_models.%I', live);
END $$;
"""

# Tables without a row are those of the new projections as they are.
FRESH = """
UPDATE read_models.generations
   SET fingerprint = replace(fingerprint, 'schedule_summary=1', 'schedule_summary=2')
 WHERE state = 'live' AND NOT EXISTS (SELECT FROM read_models.checkpoints WHERE position > 0)
"""


def upgrade() -> None:
    execute_script(op, "SET LOCAL ROLE mt_projectors")
    execute_script(op, COLUMNS)
    execute_script(op, FRESH)
    execute_script(op, "RESET ROLE")


def downgrade() -> None:
    execute_script(op, "DELETE FROM read_models.generations")
