"""Accounts of the command API: tenants, users, refresh tokens. Passwords never enter the log."""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261123_04_pre_accounts"
down_revision = "20261123_03_pre_work"

# A tenant's name is its id everywhere, also as a token of a NATS subject. Users are never deleted:
# history names them by their id.
SCHEMA = """
CREATE SCHEMA accounts;

CREATE TABLE accounts.tenants (
    name       text PRIMARY KEY CHECK (
        name ~ '^[a-z0-9](-?[a-z0-9])*$' AND length(name) <= 63 AND name <> 'platform'
    ),
    created_at timestamptz NOT NULL
);

CREATE TABLE accounts.users (
    id              uuid PRIMARY KEY,
    tenant          text NOT NULL REFERENCES accounts.tenants,
    username        text NOT NULL CONSTRAINT users_username UNIQUE,
    role            text NOT NULL CHECK (role IN ('client', 'operator', 'admin', 'auditor')),
    password_hash   text NOT NULL,
    is_disabled     boolean NOT NULL,
    session_version int NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);
CREATE INDEX users_of_tenant ON accounts.users (tenant, username);

CREATE TABLE accounts.refresh_tokens (
    token_hash bytea PRIMARY KEY,
    family     uuid NOT NULL,
    user_id    uuid NOT NULL REFERENCES accounts.users,
    issued_at  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_tokens_of_user ON accounts.refresh_tokens (user_id, issued_at);
CREATE INDEX refresh_tokens_family ON accounts.refresh_tokens (family);
CREATE INDEX refresh_tokens_expiry ON accounts.refresh_tokens (expires_at);

-- What an API asks about a token: whose sessions still count. No name, no password.
CREATE VIEW accounts.sessions AS
    SELECT id AS user_id, session_version FROM accounts.users WHERE NOT is_disabled;
"""

GRANTS = """
GRANT USAGE ON SCHEMA accounts TO mt_command_api, mt_query_api;
GRANT SELECT, INSERT ON accounts.tenants TO mt_command_api;
GRANT SELECT, INSERT, UPDATE ON accounts.users TO mt_command_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.refresh_tokens TO mt_command_api;
GRANT SELECT ON accounts.sessions TO mt_command_api, mt_query_api;
"""


def upgrade() -> None:
    for script in (SCHEMA, GRANTS):
        execute_script(op, script)


def downgrade() -> None:
    execute_script(op, "DROP SCHEMA accounts CASCADE")
