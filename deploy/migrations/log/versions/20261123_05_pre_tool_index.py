"""Let the tools be found in the log without reading all of it: an index over their first facts."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261123_05_pre_tool_index"
down_revision = "20261123_04_pre_accounts"


def upgrade() -> None:
    execute_script(
        op,
        "CREATE INDEX stored_events_tools ON event_store.stored_events (notification_id)"
        " WHERE topic = 'magictoolbox.tool.introduced'",
    )


def downgrade() -> None:
    execute_script(op, "DROP INDEX event_store.stored_events_tools")
