"""Tools show whether their results are used again, and how patient the platform is with them.

The live table gets the columns at once, so that the query API may select them, with a default for
an older projector that goes on writing; a newer one fills them when it makes the tables anew.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_07_pre_tool_reuse"
down_revision = "20261125_06_pre_bulk_newest"

COLUMNS = """
DO $$
DECLARE
    live text;
BEGIN
    SELECT 'tool_catalogue_' || generation INTO live
      FROM read_models.generations WHERE projection_group = 'platform' AND state = 'live';
    IF to_regclass('read_models.' || live) IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('ALTER TABLE read_models.%I
                      ADD COLUMN IF NOT EXISTS cacheable boolean NOT NULL DEFAULT false,
                      ADD COLUMN IF NOT EXISTS retry jsonb', live);
    EXECUTE format('CREATE OR REPLACE VIEW read_models.tool_catalogue
                        AS SELECT * FROM read_models.%I', live);
END $$;
"""

# Tables without a row are those of the new projections as they are.
FRESH = """
UPDATE read_models.generations
   SET fingerprint = replace(fingerprint, 'tool_catalogue=1', 'tool_catalogue=2')
 WHERE state = 'live' AND NOT EXISTS (SELECT FROM read_models.checkpoints WHERE position > 0)
"""


def upgrade() -> None:
    execute_script(op, "SET LOCAL ROLE mt_projectors")
    execute_script(op, COLUMNS)
    execute_script(op, FRESH)
    execute_script(op, "RESET ROLE")


def downgrade() -> None:
    execute_script(op, "DELETE FROM read_models.generations")
