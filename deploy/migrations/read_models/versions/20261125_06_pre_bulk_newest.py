"""Bulk operations are listed, newest first: an index for the tenant's, and one for a user's own."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_06_pre_bulk_newest"
down_revision = "20261125_05_pre_workflows"

# The tables of every generation, also of one that is being made.
INDEXES = """
DO $$
DECLARE
    made text;
BEGIN
    FOR made IN SELECT tablename FROM pg_tables
                 WHERE schemaname = 'read_models' AND tablename ~ '^bulk_operations_[0-9]+$' LOOP
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I
                            ON read_models.%I (tenant, requested_at, bulk_id)',
                       replace(made, 'operations', 'operations_newest'), made);
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I
                            ON read_models.%I (tenant, owner, requested_at, bulk_id)',
                       replace(made, 'operations', 'operations_owner'), made);
    END LOOP;
END $$;
"""


def upgrade() -> None:
    execute_script(op, "SET LOCAL ROLE mt_projectors")
    execute_script(op, INDEXES)
    execute_script(op, "RESET ROLE")


def downgrade() -> None:
    execute_script(op, "DELETE FROM read_models.generations")
