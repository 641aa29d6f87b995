"""Make one role for each service: the walls between them stand in the database too."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261123_01_pre_roles"
down_revision = None

ROLES = (
    "mt_command_api",
    "mt_query_api",
    "mt_relay",
    "mt_processors",
    "mt_projectors",
    "mt_auditor",
)

CREATE_ROLE = """
DO $$ BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- roles belong to the whole cluster; another database's migration made it
END $$;
DO $$ BEGIN
    IF NOT pg_has_role(current_user, '{role}', 'SET') THEN
        GRANT {role} TO CURRENT_USER;
    END IF;
EXCEPTION WHEN unique_violation THEN
    NULL;
END $$;
"""


def upgrade() -> None:
    for role in ROLES:
        execute_script(op, CREATE_ROLE.format(role=role))


def downgrade() -> None:
    """Roles stay: other databases of the cluster may use them."""
